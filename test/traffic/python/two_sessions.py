"""Both ends of a TCP connection that carries two TLS sessions, one after the other, each with one exchange of the same size."""

import json
import os
import socket
import ssl
import sys
import threading

server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
server_context.load_cert_chain(os.environ["TLS_CERTIFICATE"], os.environ["TLS_KEY"])
client_context = ssl._create_unverified_context()
PATHS = (b"/first_", b"/second")
taken = []


def take_address(context):
    """The second session's object does not lie where the first one's lay."""
    taken.extend(context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=context is server_context) for _ in range(8))


def serve(connection):
    for _ in PATHS:
        secure = server_context.wrap_socket(connection, server_side=True)
        secure.recv(4096)
        secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        connection = secure.unwrap()
        take_address(server_context)


def ask(connection):
    for path in PATHS:
        secure = client_context.wrap_socket(connection)
        secure.sendall(b"GET %b HTTP/1.1\r\nHost: again\r\n\r\n" % path)
        secure.recv(4096)
        connection = secure.unwrap()
        take_address(client_context)
    connection.close()


listener = socket.create_server(("127.0.0.1", 0))
print(json.dumps({"kind": "ready"}), flush=True)
for _ in sys.stdin:
    client = socket.create_connection(listener.getsockname())
    thread = threading.Thread(target=serve, args=(listener.accept()[0],))
    thread.start()
    ask(client)
    thread.join()
    print(json.dumps({"kind": "done"}), flush=True)
