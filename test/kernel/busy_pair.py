"""Both ends of a connection that is busy all the time: busy_pair.py FILES

The process has so many other open files, which whoever enumerates them comes to before the listener. It says {"kind": "ready", "pid", "serverPort"}.
"""

import json
import os
import resource
import socket
import sys
import threading

files = int(sys.argv[1])
limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
other = os.open("/dev/null", os.O_RDONLY)
for _ in range(min(files, limit - 100)):
    os.dup(other)

listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
server = listener.accept()[0]


def echo():
    while data := server.recv(100):
        server.sendall(data)


threading.Thread(target=echo, daemon=True).start()


def ask():
    while True:
        client.sendall(b"ping")
        client.recv(100)


threading.Thread(target=ask, daemon=True).start()
print(json.dumps({"kind": "ready", "pid": os.getpid(), "serverPort": listener.getsockname()[1]}), flush=True)
sys.stdin.read()
