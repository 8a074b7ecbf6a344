"""Sends and receives very long messages, fast: stream_peer.py server | client PORT

Lines in and out as in test/traffic/README.md; a connection for each plan. A request has `id`, `method`, `down` and `up` (the body of the response and of
the request: {"shape", "size", "write"}); every message tells its length on the wire in X-Wire, so that nobody has to follow its framing.
"""

import json
import os
import random
import socket
import sys
import threading
import urllib.parse

DECOY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n3e8\r\nGET /decoy HTTP/1.1\r\nHost: decoy\r\n\r\n0\r\n\r\n"
BLOCK = 4 << 20
TRAILERS = b"Digest: none\r\nX-Long: " + b"t" * 300 + b"\r\n"


def say(**line):
    print(json.dumps(line), flush=True)


def chunk_sizes(shape):
    """Sizes and extensions of the chunks of one block."""
    order = random.Random(7)
    left = BLOCK
    while left > 0:
        extension = b""
        if shape == "large":
            size = 1 << 20
        elif shape == "tiny":
            size = 10
        elif shape == "random":
            size = order.choice((order.randint(1, 9), order.randint(10, 3000), order.randint(3000, 200_000)))
        else:
            size = 1000
        if shape == "extensions":
            extension = order.choice((b"", b";a=1", b' ; name="x;y"', b";long=" + b"e" * 60))
        size = min(size, left)
        yield size, extension
        left -= size


def pieces_of(shape):
    """One block as the pieces that a careful writer would have: size line, payload, line end."""
    filler = DECOY * (BLOCK // len(DECOY) + 1)
    pieces = []
    for size, extension in chunk_sizes(shape):
        pieces += [b"%x%s\r\n" % (size, extension), filler[:size], b"\r\n"]
    return pieces


class Body:
    """`size` bytes of payload, a multiple of a block, in the given shape and in writes of `write` bytes (0: vectors, a piece each)."""

    blocks = {}

    def __init__(self, shape, size, write):
        self.write = write
        self.count = size // BLOCK
        self.payload = self.count * BLOCK
        if shape not in Body.blocks:
            pieces = [DECOY * (BLOCK // len(DECOY)), DECOY[: BLOCK % len(DECOY)]] if shape == "length" else pieces_of(shape)
            Body.blocks[shape] = (pieces, b"".join(pieces))
        self.pieces, self.block = Body.blocks[shape]
        self.fields = b"Content-Length: %d\r\n" % self.payload
        self.end = b""
        if shape != "length":
            self.fields = b"Transfer-Encoding: chunked\r\n"
            self.end = b"0\r\n" + (TRAILERS if shape == "trailers" else b"") + b"\r\n"
        self.wire = self.count * len(self.block) + len(self.end)

    def send(self, connection, head):
        if self.write == 0:
            connection.sendall(head)
            for _ in range(self.count):
                send_vectors(connection, self.pieces)
            connection.sendall(self.end)
            return
        # The writes go on over the borders of the blocks: their starts are anywhere in the coding.
        pending = head
        for _ in range(self.count):
            view = memoryview(self.block)
            if pending:
                first = self.write - len(pending)
                connection.sendall(pending + bytes(view[:first]))
                view = view[first:]
            whole = len(view) // self.write * self.write
            for at in range(0, whole, self.write):
                connection.sendall(view[at : at + self.write])
            pending = bytes(view[whole:])
        connection.sendall(pending + self.end)


def send_vectors(connection, pieces):
    for at in range(0, len(pieces), 300):
        vectors = pieces[at : at + 300]
        sent = connection.sendmsg(vectors)
        rest = b"".join(vectors)[sent:] if sent < sum(map(len, vectors)) else b""
        if rest:
            connection.sendall(rest)


class Reader:
    def __init__(self, connection):
        self.connection = connection
        self.buffer = bytearray(256 * 1024)
        self.have = b""

    def head(self):
        """First line and X-Wire of the next message; None at the end of the stream."""
        while b"\r\n\r\n" not in self.have:
            data = self.connection.recv(65536)
            if not data:
                return None
            self.have += data
        head, self.have = self.have.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        fields = dict(line.split(": ", 1) for line in lines[1:])
        return lines[0], int(fields["X-Wire"]), fields

    def skip(self, size):
        size -= len(self.have)
        assert size >= 0, "nothing is pipelined here"
        self.have = b""
        while size > 0:
            got = self.connection.recv_into(self.buffer, min(size, len(self.buffer)))
            assert got > 0, "the peer was gone"
            size -= got


def message(first_line, body, *fields):
    framing = body.fields if body else b"Content-Length: 0\r\n"
    lines = b"".join(field + b"\r\n" for field in fields)
    return b"%s\r\nX-Wire: %d\r\n%s%s\r\n" % (first_line, body.wire if body else 0, lines, framing)


def send(connection, head, body):
    if body:
        body.send(connection, head)
    else:
        connection.sendall(head)


def body_of(plan):
    return Body(plan["shape"], plan["size"], plan["write"]) if plan else None


def serve():
    listener = socket.create_server(("127.0.0.1", 0))
    say(kind="listening", pid=os.getpid(), port=listener.getsockname()[1])
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reader = Reader(connection)
        while (request := reader.head()) is not None:
            first_line, wire, _ = request
            reader.skip(wire)
            query = urllib.parse.parse_qs(first_line.split(" ")[1].partition("?")[2])
            body = body_of(json.loads(query["down"][0]))
            head = message(b"HTTP/1.1 200 OK", body, b"X-Payload: %d" % (body.payload if body else 0))
            send(connection, head, body)
        connection.close()


def ask(port):
    say(kind="ready", pid=os.getpid())
    for line in sys.stdin:
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reader = Reader(connection)
        for planned in json.loads(line)["requests"]:
            query = urllib.parse.urlencode({"id": planned["id"], "down": json.dumps(planned.get("down"))})
            target = "/stream?" + query
            body = body_of(planned.get("up"))
            head = message(f"{planned['method']} {target} HTTP/1.1".encode(), body, b"Host: stream")
            send(connection, head, body)
            first_line, wire, fields = reader.head()
            reader.skip(wire)
            say(
                kind="exchange",
                id=planned["id"],
                target=target,
                status=int(first_line.split(" ")[1]),
                requestBodySize=body.payload if body else 0,
                responseBodySize=int(fields["X-Payload"]),
            )
        connection.close()
        say(kind="done")


def end_with_input():
    sys.stdin.read()
    os._exit(0)


if sys.argv[1] == "server":
    threading.Thread(target=end_with_input, daemon=True).start()
    serve()
else:
    ask(int(sys.argv[2]))
