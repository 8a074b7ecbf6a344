"""A client that is in a span of its own in each HTTPS request: context_client.py LIBRARY SOCKET. LIBRARY is the C library of otel-thread-context.
Lines in: `publish`, or `register`, by which observers learn where the thread has it, and `get PORT FIRST COUNT` (as c/registrant.c)."""

import ctypes
import json
import socket
import ssl
import sys

library = ctypes.CDLL(sys.argv[1])
library.otel_thread_context_thread_record.restype = ctypes.c_void_p
record = ctypes.c_void_p(library.otel_thread_context_thread_record())
context = ssl._create_unverified_context()


class Process(ctypes.Structure):
    """struct otel_thread_context_process, of which only the size is said."""

    _fields_ = [("size", ctypes.c_size_t), ("rest", ctypes.c_size_t * 5)]


def say(**line):
    print(json.dumps(line), flush=True)


def get(port, number):
    trace_id = b"\xc1" * 9 + number.to_bytes(7, "big")
    span_id = b"\xc1" + number.to_bytes(7, "big")
    if library.otel_thread_context_record_update(record, trace_id, span_id, 1, None, 0):
        sys.exit(3)
    library.otel_thread_context_swap(record)
    with context.wrap_socket(socket.create_connection(("127.0.0.1", port))) as secure:
        secure.sendall(b"GET /r?id=%d HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n" % number)
        library.otel_thread_context_swap(None)
        while secure.recv(4096):
            pass


say(kind="ready")
for line in sys.stdin:
    verb, *numbers = line.split()
    if verb == "publish":
        process = Process(ctypes.sizeof(Process))
        say(kind="published", result=library.otel_thread_context_process_publish(ctypes.byref(process)))
    elif verb == "register":
        text = ctypes.create_string_buffer(512)
        result = library.otel_thread_context_register(sys.argv[2].encode(), 10000, text, len(text))
        say(kind="registered", result=result, text=text.value.decode())
    elif verb == "get":
        port, first, count = map(int, numbers)
        for number in range(first, first + count):
            get(port, number)
        say(kind="done")
