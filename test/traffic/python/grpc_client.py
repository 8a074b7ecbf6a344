"""gRPC client of the traffic generator (see ../README.md): grpc_client.py HOST:PORT

Its core is the C++ one of gRPC. Messages are bytes.
"""
import json
import os
import queue
import sys
import threading

import grpc

lock = threading.Lock()
channels = []  # each with a connection of its own, which stays open between plans


def say(**line):
    with lock:
        print(json.dumps(line), flush=True)


def channel():
    options = (("grpc.use_local_subchannel_pool", 1),)
    if "TLS" not in os.environ:
        return grpc.insecure_channel(sys.argv[1], options)
    with open(os.environ["TLS_CERTIFICATE"], "rb") as certificate:
        return grpc.secure_channel(sys.argv[1], grpc.ssl_channel_credentials(certificate.read()), options)


def ask(where, planned):
    metadata = (("plan", planned["plan"]),)
    timeout = planned["deadline"] / 1000 if planned.get("deadline") else None
    message = bytes(planned["requestSize"])
    shape, path = planned["shape"], "/" + planned["method"]
    got = []
    try:
        if shape == "unary":
            got.append(len(where.unary_unary(path)(message, timeout, metadata)))
        elif shape == "client":
            messages = iter([message] * planned["requests"])
            got.append(len(where.stream_unary(path)(messages, timeout, metadata)))
        elif shape == "server":
            call = where.unary_stream(path)(message, timeout, metadata)
            for response in call:
                got.append(len(response))
                if planned.get("cancel"):
                    call.cancel()
        else:
            ready = threading.Semaphore(1)

            def requests():
                for _ in range(planned["requests"]):
                    ready.acquire()
                    yield message
                ready.acquire()

            call = where.stream_stream(path)(requests(), timeout, metadata)
            call.add_done_callback(lambda _: ready.release())
            for response in call:
                got.append(len(response))
                if planned.get("cancel"):
                    call.cancel()
                ready.release()  # a request for each answer
        code = 0
    except grpc.RpcError as error:
        code = error.code().value[0]
    say(kind="call", id=planned["id"], code=code, responses=len(got), size=sum(got))


def run(plan):
    while len(channels) < plan["connections"]:
        channels.append(channel())
    calls = queue.SimpleQueue()
    for planned in plan["calls"]:
        calls.put(planned)

    def work(where):
        try:
            while True:
                ask(where, calls.get_nowait())
        except queue.Empty:
            pass

    workers = [
        threading.Thread(target=work, args=(where,))
        for where in channels[: plan["connections"]]
        for _ in range(plan["streams"])
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    say(kind="done")


say(kind="ready", pid=os.getpid())
for line in sys.stdin:
    run(json.loads(line))
os._exit(0)
