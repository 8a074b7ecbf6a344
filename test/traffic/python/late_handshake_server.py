"""A server that begins to read before the TLS handshake has: it happens within the call. Answers with the status that is the path. Ends with
its input."""

import json
import os
import socket
import ssl
import sys
import threading

context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(os.environ["TLS_CERTIFICATE"], os.environ["TLS_KEY"])


def serve(connection):
    print(json.dumps({"kind": "reading", "thread": threading.get_native_id()}), flush=True)
    secure = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
    while request := secure.recv(4096):
        status = request.split()[1].strip(b"/")
        secure.sendall(b"HTTP/1.1 %b Anything\r\nContent-Length: 0\r\n\r\n" % status)


def accept_all():
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


listener = socket.create_server(("127.0.0.1", 0))
print(json.dumps({"kind": "listening", "pid": os.getpid(), "port": listener.getsockname()[1]}), flush=True)
threading.Thread(target=accept_all, daemon=True).start()
sys.stdin.read()
