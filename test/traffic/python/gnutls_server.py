"""HTTPS server of the traffic generator by GnuTLS (see ../README.md): gnutls_server.py HOST PORT

Each connection takes its requests and sends its answers in the ways that the library has, in turn; with WAY in the
environment always by gnutls_record_send_file() (`file`) or gnutls_record_send_range() (`range`)."""

import ctypes
import json
import os
import select
import socket
import sys
import tempfile
import threading
import time
from urllib.parse import parse_qsl, urlsplit

DECOY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nGET /decoy HTTP/1.1\r\nHost: decoy\r\n\r\n"
SERVER, PEM, CERTIFICATE, WAIT = 1, 1, 1, 1
AGAIN, INTERRUPTED = -28, -52
SIZE = ctypes.c_size_t
library = ctypes.CDLL("libgnutls.so.30")
for name in ("recv", "recv_seq", "send", "send2", "send_file", "send_range"):
    getattr(library, f"gnutls_record_{name}").restype = ctypes.c_ssize_t


def check(result, what):
    if result < 0:
        raise ConnectionError(f"{what}: {result}")
    return result


class Range(ctypes.Structure):
    _fields_ = [("low", SIZE), ("high", SIZE)]


class Connection:
    """Of a socket that does not block, so that calls are repeated."""

    def __init__(self, peer):
        self.socket, self.session, self.calls, self.buffered = peer, ctypes.c_void_p(), 0, b""
        peer.setblocking(False)
        check(library.gnutls_init(ctypes.byref(self.session), SERVER), "init")
        library.gnutls_set_default_priority(self.session)
        library.gnutls_credentials_set(self.session, CERTIFICATE, credentials)
        library.gnutls_transport_set_int2(self.session, peer.fileno(), peer.fileno())
        self.repeat("handshake", lambda _: library.gnutls_handshake(self.session))

    def repeat(self, what, call):
        attempts = 0
        while (result := call(attempts)) in (AGAIN, INTERRUPTED):
            attempts += 1
            is_sending = library.gnutls_record_get_direction(self.session)
            select.select([] if is_sending else [self.socket], [self.socket] if is_sending else [], [])
        return check(result, what)

    def receive(self):
        self.calls += 1
        buffer, sequence = ctypes.create_string_buffer(20_000), ctypes.create_string_buffer(8)
        if self.calls % 2:
            size = self.repeat("recv", lambda _: library.gnutls_record_recv(self.session, buffer, SIZE(20_000)))
        else:
            size = self.repeat("recv_seq", lambda _: library.gnutls_record_recv_seq(self.session, buffer, SIZE(20_000), sequence))
        if size == 0:
            raise EOFError
        return buffer.raw[:size]

    def head(self):
        while b"\r\n\r\n" not in self.buffered:
            self.buffered += self.receive()
        head, _, self.buffered = self.buffered.partition(b"\r\n\r\n")
        return head

    def body(self, size):
        while len(self.buffered) < size:
            self.buffered += self.receive()
        self.buffered = self.buffered[size:]

    def send(self, data, way):
        while data:
            if way == "send2":
                sent = self.repeat(way, lambda _: library.gnutls_record_send2(self.session, data, SIZE(len(data)), SIZE(0), 0))
            elif way == "nothing":
                # The library has taken it at the first call, and need not be given it again.
                again = (None, SIZE(0))
                call = lambda attempts: library.gnutls_record_send(self.session, *(again if attempts else (data, SIZE(len(data)))))
                sent = self.repeat(way, call)
            elif way == "range":
                reach = Range(len(data), len(data))
                call = lambda _: library.gnutls_record_send_range(self.session, data, SIZE(len(data)), ctypes.byref(reach))
                sent = self.repeat(way, call)
            else:
                sent = self.repeat(way, lambda _: library.gnutls_record_send(self.session, data, SIZE(len(data))))
            data = data[sent:]

    def answer(self, head, body, way):
        if way == "cork":
            library.gnutls_record_cork(self.session)
            self.send(head, "send")
            self.send(body, "send")
            while library.gnutls_record_check_corked(self.session):
                self.repeat("uncork", lambda _: library.gnutls_record_uncork(self.session, 0))
        elif way == "file":
            with tempfile.TemporaryFile() as file:
                file.write(head + body)
                file.seek(0)
                size = SIZE(len(head) + len(body))
                self.repeat(way, lambda _: library.gnutls_record_send_file(self.session, file.fileno(), None, size))
        else:
            self.send(head + body, way)

    def serve(self):
        ways = [os.environ["WAY"]] if "WAY" in os.environ else ["send", "cork", "send2", "nothing"]
        for turn in range(1 << 30):
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
            self.answer(head, (DECOY * (size // len(DECOY) + 1))[:size] if has_body else b"", ways[turn % len(ways)])


def serve(peer):
    with peer:
        connection = None
        try:
            connection = Connection(peer)
            connection.serve()
        except (EOFError, ConnectionError):
            pass
        finally:
            if connection:
                library.gnutls_deinit(connection.session)


def accept(listener):
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


credentials = ctypes.c_void_p()
check(library.gnutls_certificate_allocate_credentials(ctypes.byref(credentials)), "credentials")
paths = (os.environ["TLS_CERTIFICATE"].encode(), os.environ["TLS_KEY"].encode())
check(library.gnutls_certificate_set_x509_key_file(credentials, *paths, PEM), "certificate")
listener = socket.create_server((sys.argv[1], int(sys.argv[2])), backlog=128)
threading.Thread(target=accept, args=(listener,), daemon=True).start()
print(json.dumps({"kind": "listening", "pid": os.getpid(), "port": listener.getsockname()[1]}), flush=True)
sys.stdin.read()
