"""A server whose threads each serve one request at a time, and ask another server for the answer: relay_server.py UPSTREAM_HOST UPSTREAM_PORT"""

import http.client
import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Relay(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        upstream = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]))
        upstream.request("GET", self.path)
        body = upstream.getresponse().read()
        upstream.close()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        # What comes after the answer is no part of it.
        upstream = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]))
        upstream.request("GET", self.path + "&after=1")
        upstream.getresponse().read()
        upstream.close()

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Relay)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(json.dumps({"kind": "listening", "pid": os.getpid(), "port": server.server_port}), flush=True)
sys.stdin.read()
