"""Both ends of connections, in one thread that moves bytes between them as it is told: stream_pairs.py

It says {"kind": "ready", "variable"}: so far from the thread pointer (of x86-64) is the pointer to the thread's context. A plan a line, each answered by {"kind": "done"}:
{"do": "open", "family": "tcp" | "unix" | "tls", "certificate", "key"}    a new connection; the former one is closed
{"do": "move", "by": "client" | "server", "base64", "pieces": [size, …], "vectors", "reads": [size, …], "how"}
    that end writes the bytes in pieces of these sizes, the last one again and again, each as so many vectors; after each piece the other end reads
    it in reads of these sizes, likewise. "how": "send" (or sendmsg where there are vectors), "splice": written unseen.
{"do": "publish", "context"}                                 the bytes of the context, in hexadecimal; "" for none
{"do": "close"}
"""

import base64
import ctypes
import json
import os
import socket
import ssl
import sys
import threading


def say(**line):
    print(json.dumps(line), flush=True)


def open_pair(family):
    if family == "unix":
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(f"\0usm-frames-{os.getpid()}-{os.urandom(4).hex()}")
    else:
        listener = socket.create_server(("127.0.0.1", 0))
    listener.listen()
    client = socket.socket(listener.family)
    for name in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        client.setsockopt(socket.SOL_SOCKET, name, 4 << 20)
    client.connect(listener.getsockname())
    server = listener.accept()[0]
    listener.close()
    return {"client": client, "server": server}


def secure(ends, certificate, key):
    """TLS over both ends."""
    contexts = {"client": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), "server": ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)}
    contexts["client"].load_verify_locations(certificate)
    contexts["server"].load_cert_chain(certificate, key)
    secured = {}

    def shake_hands(side):
        hostname = "localhost" if side == "client" else None
        secured[side] = contexts[side].wrap_socket(ends[side], server_side=side == "server", server_hostname=hostname)

    server = threading.Thread(target=shake_hands, args=("server",))
    server.start()
    shake_hands("client")
    server.join()
    return secured


def split(data, sizes):
    at, index = 0, 0
    while at < len(data):
        size = sizes[min(index, len(sizes) - 1)]
        yield data[at : at + size]
        at, index = at + size, index + 1


def write(connection, piece, vectors, how):
    if how == "splice":
        read_end, write_end = os.pipe()
        os.write(write_end, piece)
        os.splice(read_end, connection.fileno(), len(piece))
        os.close(read_end)
        os.close(write_end)
    elif vectors > 1:
        size = max(1, -(-len(piece) // vectors))
        parts = list(split(piece, [size]))
        while parts:
            sent = connection.sendmsg(parts)
            while parts and sent >= len(parts[0]):
                sent -= len(parts.pop(0))
            if parts:
                parts[0] = parts[0][sent:]
    else:
        connection.sendall(piece)


def read(connection, size, sizes, vectors):
    index = 0
    while size > 0:
        wanted = min(size, sizes[min(index, len(sizes) - 1)])
        if vectors > 1:
            buffers = [bytearray(max(1, -(-wanted // vectors))) for _ in range(vectors)]
            size -= min(wanted, connection.recvmsg_into(buffers)[0]) if sum(map(len, buffers)) == wanted else len(connection.recv(wanted))
        else:
            size -= len(connection.recv(wanted))
        index += 1


def main():
    ends = {}
    context, variable = ctypes.create_string_buffer(64), ctypes.c_uint64(0)
    say(kind="ready", variable=ctypes.addressof(variable) - threading.get_ident())
    for line in sys.stdin:
        plan = json.loads(line)
        if plan["do"] in ("open", "close"):
            for end in ends.values():
                end.close()
            ends = open_pair(plan["family"]) if plan["do"] == "open" else {}
            if plan.get("family") == "tls":
                ends = secure(ends, plan["certificate"], plan["key"])
        elif plan["do"] == "publish":
            published = bytes.fromhex(plan["context"])
            ctypes.memmove(context, published, len(published))
            variable.value = ctypes.addressof(context) if published else 0
        else:
            data = base64.b64decode(plan["base64"])
            writer = ends[plan["by"]]
            reader = ends["server" if plan["by"] == "client" else "client"]
            for piece in split(data, plan["pieces"]):
                write(writer, piece, plan.get("vectors", 1), plan.get("how", "send"))
                read(reader, len(piece), plan["reads"], plan.get("vectors", 1))
        say(kind="done")


main()
