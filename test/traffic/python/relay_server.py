"""A server whose threads each serve one request at a time, and ask another server for the answer: relay_server.py UPSTREAM_HOST UPSTREAM_PORT.
With TLS_CERTIFICATE and TLS_KEY it speaks HTTPS, with TLS the other server does."""

import http.client
import json
import os
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def connect():
    host, port = sys.argv[1], int(sys.argv[2])
    if "TLS" in os.environ:
        return http.client.HTTPSConnection(host, port, context=ssl._create_unverified_context())
    return http.client.HTTPConnection(host, port)


class Relay(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        upstream = connect()
        upstream.request("GET", self.path)
        body = upstream.getresponse().read()
        upstream.close()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        # What comes after the answer is no part of it.
        upstream = connect()
        upstream.request("GET", self.path + "&after=1")
        upstream.getresponse().read()
        upstream.close()

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Relay)
if "TLS_CERTIFICATE" in os.environ:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.environ["TLS_CERTIFICATE"], os.environ["TLS_KEY"])
    server.socket = context.wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(json.dumps({"kind": "listening", "pid": os.getpid(), "port": server.server_port}), flush=True)
sys.stdin.read()
