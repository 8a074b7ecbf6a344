"""http.server of the traffic generator (see ../README.md): echo_server.py HOST PORT"""

import json
import os
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

DECOY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nGET /decoy HTTP/1.1\r\nHost: decoy\r\n\r\n"


def filler(size):
    return (DECOY * (size // len(DECOY) + 1))[:size]


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __getattr__(self, name):
        if name.startswith("do_"):  # every method
            return self.answer
        raise AttributeError(name)

    def read_body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                self.rfile.read(size + 2)
            while self.rfile.readline() not in (b"\r\n", b""):
                pass
        else:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def answer(self):
        self.read_body()
        query = dict(parse_qsl(urlsplit(self.path).query))
        time.sleep(int(query.get("delay", 0)) / 1000)
        status, body, chunks = int(query.get("status", 200)), filler(int(query.get("size", 0))), int(query.get("chunks", 0))
        self.send_response(status)
        self.send_header("Server-Pid", str(os.getpid()))
        bodiless = self.command == "HEAD" or status in (204, 304)
        if query.get("close"):
            self.send_header("Connection", "close")
        elif chunks:
            self.send_header("Transfer-Encoding", "chunked")
        elif status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if bodiless:
            return
        if not chunks:
            self.wfile.write(body)
            return
        step = -(-len(body) // chunks)
        for part in (body[i * step : (i + 1) * step] for i in range(chunks)):
            if part:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128

    def finish_request(self, request, client_address):  # in the connection's own thread
        if context:
            request = context.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)
        if context:
            request.close()


context = None
if "TLS_CERTIFICATE" in os.environ:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.environ["TLS_CERTIFICATE"], os.environ["TLS_KEY"])


server = Server((sys.argv[1], int(sys.argv[2])), Echo)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(json.dumps({"kind": "listening", "pid": os.getpid(), "port": server.server_port}), flush=True)
sys.stdin.read()
