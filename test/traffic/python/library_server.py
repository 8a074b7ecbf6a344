"""What servers of the traffic generator share that call a TLS library of C themselves (see ../README.md)."""

import json
import os
import socket
import sys
import threading
import time
from urllib.parse import parse_qsl, urlsplit

DECOY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nGET /decoy HTTP/1.1\r\nHost: decoy\r\n\r\n"


def certificate_paths():
    return os.environ["TLS_CERTIFICATE"].encode(), os.environ["TLS_KEY"].encode()


class Exchanges:
    """HTTP over what a subclass can do: receive() some bytes (EOFError at their end), and answer(head, body)."""

    buffered = b""

    def head(self):
        while b"\r\n\r\n" not in self.buffered:
            self.buffered += self.receive()
        head, _, self.buffered = self.buffered.partition(b"\r\n\r\n")
        return head

    def body(self, size):
        while len(self.buffered) < size:
            self.buffered += self.receive()
        self.buffered = self.buffered[size:]

    def serve(self):
        while True:
            first, *fields = self.head().split(b"\r\n")
            method, target, _ = first.decode().split(" ")
            headers = {name.lower(): value.strip() for name, value in (field.split(b":", 1) for field in fields)}
            self.body(int(headers.get(b"content-length", 0)))
            query = dict(parse_qsl(urlsplit(target).query))
            time.sleep(int(query.get("delay", 0)) / 1000)
            status, size = int(query.get("status", 200)), int(query.get("size", 0))
            length = b"" if status == 204 else b"Content-Length: %d\r\n" % size
            head = b"HTTP/1.1 %d Status\r\nServer-Pid: %d\r\n%b\r\n" % (status, os.getpid(), length)
            has_body = method != "HEAD" and status not in (204, 304)
            self.answer(head, (DECOY * (size // len(DECOY) + 1))[:size] if has_body else b"")


def run(connect):
    """`connect` makes the exchanges of an accepted socket; close() of them ends their session."""

    def serve(peer):
        with peer:
            connection = None
            try:
                connection = connect(peer)
                connection.serve()
            except (EOFError, ConnectionError):
                pass
            finally:
                if connection:
                    connection.close()

    def accept(listener):
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    listener = socket.create_server((sys.argv[1], int(sys.argv[2])), backlog=128)
    threading.Thread(target=accept, args=(listener,), daemon=True).start()
    print(json.dumps({"kind": "listening", "pid": os.getpid(), "port": listener.getsockname()[1]}), flush=True)
    sys.stdin.read()
