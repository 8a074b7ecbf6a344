"""HTTPS server of the traffic generator by an OpenSSL of one's own (see ../README.md): openssl_server.py HOST PORT

OPENSSL in the environment is the path of its libssl. Reads and writes by both pairs of functions, in turn; with EARLY
takes requests that come with the handshake."""

import ctypes
import os

from library_server import Exchanges, certificate_paths, run

PEM = 1
NO_ANTI_REPLAY = 1 << 24
library = ctypes.CDLL(os.environ["OPENSSL"])
for name in ("TLS_server_method", "SSL_CTX_new", "SSL_new"):
    getattr(library, name).restype = ctypes.c_void_p


def check(result, what):
    if result is None or result <= 0:
        raise ConnectionError(what)
    return result


class Connection(Exchanges):
    def __init__(self, peer):
        self.calls = 0
        self.ssl = ctypes.c_void_p(check(library.SSL_new(context), "SSL_new"))
        check(library.SSL_set_fd(self.ssl, peer.fileno()), "SSL_set_fd")
        if "EARLY" in os.environ:
            self.buffered = self.early_data()
        check(library.SSL_accept(self.ssl), "SSL_accept")

    def early_data(self):
        taken, buffer, count = b"", ctypes.create_string_buffer(20_000), ctypes.c_size_t()
        while check(library.SSL_read_early_data(self.ssl, buffer, ctypes.c_size_t(20_000), ctypes.byref(count)), "early") == 1:
            taken += buffer.raw[: count.value]
        return taken

    def receive(self):
        self.calls += 1
        buffer, count = ctypes.create_string_buffer(20_000), ctypes.c_size_t()
        if self.calls % 2:
            size = library.SSL_read(self.ssl, buffer, 20_000)
        else:
            is_done = library.SSL_read_ex(self.ssl, buffer, ctypes.c_size_t(20_000), ctypes.byref(count))
            size = count.value if is_done > 0 else 0
        if size <= 0:
            raise EOFError
        return buffer.raw[:size]

    def answer(self, head, body):
        data, count = head + body, ctypes.c_size_t()
        if self.calls % 2:
            check(library.SSL_write(self.ssl, data, len(data)), "SSL_write")
        else:
            check(library.SSL_write_ex(self.ssl, data, ctypes.c_size_t(len(data)), ctypes.byref(count)), "SSL_write_ex")

    def close(self):
        library.SSL_free(self.ssl)


context = ctypes.c_void_p(check(library.SSL_CTX_new(ctypes.c_void_p(library.TLS_server_method())), "SSL_CTX_new"))
certificate, key = certificate_paths()
check(library.SSL_CTX_use_certificate_file(context, certificate, PEM), "certificate")
check(library.SSL_CTX_use_PrivateKey_file(context, key, PEM), "key")
if "EARLY" in os.environ:
    library.SSL_CTX_set_max_early_data(context, 16_384)
    # A session that did not end in order would not be taken up again.
    library.SSL_CTX_set_options(context, ctypes.c_ulong(NO_ANTI_REPLAY))
run(Connection)
