"""TCP connections that carry no HTTP: tcp_peer.py server HOST | client

The server says {"kind": "ready", "port"}. Of each connection it reads a line, `UP DOWN END`: it reads on until it has UP bytes, sends DOWN and ends as
END says: "server" (closes), "client" (waits for the other end to close), "unread" (closes without reading), "reset" (does not linger), "silent"
(closes at once), "again" (as "client", but what follows the answer is a line again).

The client takes a plan as JSON a line: {"do": "run", "host", "port", "connections": [[up, down, end], …]} one after the other;
{"do": "open", "host", "port"}, {"do": "say", "up", "down"} and {"do": "close"} a connection that stays; {"do": "info"} what the kernel says of it;
{"do": "fail", "host", "port", "how", "count", "repeats"} attempts to
connect that are to fail, "wait"-ing for it or not, with so many repeated SYNs. It answers each with {"kind": "done", …}.
"""

import json
import select
import socket
import struct
import sys
import threading

TCP_SYNCNT = 7
NO_LINGER = struct.pack("ii", 1, 0)


def say(**line):
    print(json.dumps(line), flush=True)


def read_exactly(connection, size):
    left = size
    while left > 0:
        piece = connection.recv(min(left, 65536))
        if not piece:
            raise EOFError(f"{left} of {size} bytes did not come")
        left -= len(piece)


def read_line(connection):
    line = b""
    while not line.endswith(b"\n"):
        piece = connection.recv(1)
        if not piece:
            return None
        line += piece
    return line


def serve(connection):
    with connection:
        while True:
            line = read_line(connection)
            if line is None:
                return
            up, down, end = line.split()
            if end == b"silent":
                return
            if end == b"unread":
                # Until the last byte is there.
                connection.recv(int(up) - len(line), socket.MSG_PEEK | socket.MSG_WAITALL)
                return
            read_exactly(connection, int(up) - len(line))
            connection.sendall(b"y" * int(down))
            if end == b"reset":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
                connection.recv(1)
                return
            if end == b"client":
                connection.recv(1)
            if end != b"again":
                return


def server(host):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, 0), family=family, backlog=256)
    say(kind="ready", port=listener.getsockname()[1])
    threading.Thread(target=accept_all, args=(listener,), daemon=True).start()
    sys.stdin.read()


def accept_all(listener):
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


def exchange(connection, up, down, end):
    line = b"%d %d %s\n" % (up, down, end.encode())
    connection.sendall(line + b"x" * (up - len(line)))
    read_exactly(connection, down)


def run(host, port, connections):
    for up, down, end in connections:
        with socket.create_connection((host, port)) as connection:
            if up == 0:
                continue
            exchange(connection, up, down, end)
            if end == "reset":
                connection.sendall(b"!")
                try:
                    connection.recv(1)
                except ConnectionResetError:
                    pass
            elif end != "client":
                try:
                    if connection.recv(1):
                        raise AssertionError("more came than was asked for")
                except ConnectionResetError:
                    pass


def info_of(connection):
    """struct tcp_info of linux/tcp.h"""
    raw = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    (retransmits,) = struct.unpack_from("I", raw, 100)
    (rtt,) = struct.unpack_from("I", raw, 68)
    return {"retransmits": retransmits, "rtt": rtt}


def fail(host, port, how, count, repeats=1):
    errors = []
    attempts = []
    for _ in range(count):
        attempt = socket.socket()
        attempt.setsockopt(socket.IPPROTO_TCP, TCP_SYNCNT, repeats)
        attempt.setblocking(False)
        attempt.connect_ex((host, port))
        attempts.append(attempt)
    for attempt in attempts:
        if how == "wait":
            select.select([], [attempt], [], 30)
            errors.append(attempt.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
        attempt.close()
    return errors


def client():
    kept = None
    for text in sys.stdin:
        plan = json.loads(text)
        action = plan.pop("do")
        answer = {}
        if action == "run":
            run(**plan)
        elif action == "open":
            kept = socket.create_connection((plan["host"], plan["port"]))
            answer = {"port": kept.getsockname()[1]}
        elif action == "say":
            exchange(kept, plan["up"], plan["down"], "again")
        elif action == "info":
            answer = info_of(kept)
        elif action == "close":
            kept.close()
        elif action == "fail":
            answer = {"errors": fail(**plan)}
        say(kind="done", **answer)


if sys.argv[1] == "server":
    server(sys.argv[2])
else:
    client()
