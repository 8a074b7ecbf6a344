"""http.client of the traffic generator (see ../README.md): echo_client.py HOST PORT"""

import http.client
import json
import os
import queue
import ssl
import sys
import threading

DECOY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nGET /decoy HTTP/1.1\r\nHost: decoy\r\n\r\n"
stdout = threading.Lock()


def say(line):
    with stdout:
        print(json.dumps(line), flush=True)


def exchange(connection, planned):
    size = planned.get("bodySize", 0)
    body = (DECOY * (size // len(DECOY) + 1))[:size] or None
    chunked = planned.get("chunked", False)
    if chunked and body:
        body = iter([body[i : i + 1000] for i in range(0, size, 1000)])
    line = {"kind": "exchange", "id": planned["id"]}
    try:
        connection.request(planned["method"], planned["target"], body, planned.get("headers", {}), encode_chunked=chunked)
        response = connection.getresponse()
        line |= {"status": response.status, "responseBodySize": len(response.read()), "serverPid": int(response.headers.get("Server-Pid", 0))}
    except OSError as error:
        line["error"] = str(error)
        connection.close()
    say(line)


def work(connection, requests):
    while (planned := requests.get()) is not None:
        exchange(connection, planned)


def connect():
    if "TLS" in os.environ:
        return http.client.HTTPSConnection(sys.argv[1], int(sys.argv[2]), context=ssl._create_unverified_context())
    return http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]))


connections = []
say({"kind": "ready", "pid": os.getpid()})
for text in sys.stdin:
    plan = json.loads(text)
    requests = queue.Queue()
    while len(connections) < plan.get("connections", 1):
        connections.append(connect())
    workers = [threading.Thread(target=work, args=(connection, requests)) for connection in connections]
    for planned in plan["requests"] + [None] * len(workers):
        requests.put(planned)
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    say({"kind": "done"})
