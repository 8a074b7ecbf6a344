"""Many TLS connections on one thread (see ../README.md): interleaved_client.py HOST:PORT HOST:PORT …

Each round opens a connection to every server in turn, asks on all of them, and reads the answers in another order. Then some are closed, some
are kept, and of some the descriptor stays open although the TLS object is gone: its address is free for another connection.
"""

import json
import os
import random
import socket
import ssl
import sys

KEPT = 8
targets = [(host, int(port)) for host, port in (target.rsplit(":", 1) for target in sys.argv[1:])]
context = ssl._create_unverified_context()
chance = random.Random(1)
left_open = []


def say(line):
    print(json.dumps(line), flush=True)


def read_answer(file, method):
    status = int(file.readline().split()[1])
    headers = {}
    while (line := file.readline()) not in (b"\r\n", b""):
        name, value = line.split(b":", 1)
        headers[name.lower()] = value.strip()
    size = 0 if method == "HEAD" or status in (204, 304) else int(headers.get(b"content-length", 0))
    return status, len(file.read(size)), int(headers[b"server-pid"])


class Connection:
    def __init__(self, target):
        self.socket = context.wrap_socket(socket.create_connection(target))
        self.file = self.socket.makefile("rb")

    def ask(self, planned):
        body = b"x" * planned["bodySize"]
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        self.socket.sendall(f"{planned['method']} {planned['target']} HTTP/1.1\r\nHost: a\r\n{length}\r\n".encode() + body)
        self.planned = planned

    def answer(self):
        status, size, pid = read_answer(self.file, self.planned["method"])
        say({"kind": "exchange", "id": self.planned["id"], "status": status, "responseBodySize": size, "serverPid": pid})

    def drop(self):
        if chance.random() < 0.3:
            left_open.append(os.dup(self.socket.fileno()))
            if len(left_open) > 50:
                os.close(left_open.pop(0))
        self.file.close()
        self.socket.close()


kept = []
say({"kind": "ready", "pid": os.getpid()})
for text in sys.stdin:
    requests = json.loads(text)["requests"]
    while requests:
        connections = kept + [Connection(targets[i % len(targets)]) for i in range(KEPT)]
        chance.shuffle(connections)
        asked = []
        for connection in connections[: len(requests)]:
            connection.ask(requests.pop(0))
            asked.append(connection)
        chance.shuffle(asked)
        for connection in asked:
            connection.answer()
        chance.shuffle(connections)
        kept, dropped = connections[:KEPT], connections[KEPT:]
        for connection in dropped:
            connection.drop()
    say({"kind": "done"})
