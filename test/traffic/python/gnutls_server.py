"""HTTPS server of the traffic generator by GnuTLS (see ../README.md): gnutls_server.py HOST PORT

Each connection takes its requests and sends its answers in the ways that the library has, in turn; with WAY in the
environment always by gnutls_record_send_file() (`file`) or gnutls_record_send_range() (`range`)."""

import ctypes
import os
import select
import tempfile

from library_server import Exchanges, certificate_paths, run

SERVER, PEM, CERTIFICATE, WAIT = 1, 1, 1, 1
AGAIN, INTERRUPTED = -28, -52
SIZE = ctypes.c_size_t
WAYS = [os.environ["WAY"]] if "WAY" in os.environ else ["send", "cork", "send2", "nothing"]
library = ctypes.CDLL("libgnutls.so.30")
for name in ("recv", "recv_seq", "send", "send2", "send_file", "send_range"):
    getattr(library, f"gnutls_record_{name}").restype = ctypes.c_ssize_t


def check(result, what):
    if result < 0:
        raise ConnectionError(f"{what}: {result}")
    return result


class Range(ctypes.Structure):
    _fields_ = [("low", SIZE), ("high", SIZE)]


class Connection(Exchanges):
    """Of a socket that does not block, so that calls are repeated."""

    def __init__(self, peer):
        self.socket, self.session, self.calls, self.turn = peer, ctypes.c_void_p(), 0, 0
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

    def answer(self, head, body):
        way = WAYS[self.turn % len(WAYS)]
        self.turn += 1
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

    def close(self):
        library.gnutls_deinit(self.session)


credentials = ctypes.c_void_p()
check(library.gnutls_certificate_allocate_credentials(ctypes.byref(credentials)), "credentials")
check(library.gnutls_certificate_set_x509_key_file(credentials, *certificate_paths(), PEM), "certificate")
run(Connection)
