"""gRPC server of the traffic generator (see ../README.md): grpc_server.py HOST:PORT

Its core is the C++ one of gRPC. Messages are bytes.
"""
import json
import os
import sys
import threading
from concurrent import futures
from urllib.parse import parse_qs

import grpc

CODES = {code.value[0]: code for code in grpc.StatusCode}


def answer(requests, context):
    """Does with any call what its metadata asks for."""
    plan = parse_qs(dict(context.invocation_metadata())["plan"])

    def number(name):
        return int(plan.get(name, ["0"])[0])

    message = bytes(number("size"))
    over = threading.Event()
    context.add_callback(over.set)
    for _ in requests:
        if number("each"):
            yield message
    if number("delay") and over.wait(number("delay") / 1000):
        return
    for _ in range(number("messages")):
        yield message
    if number("hold"):
        over.wait()
        return
    context.set_trailing_metadata((("server-took", "1"),))
    if number("code"):
        context.abort(CODES[number("code")], "as asked for")


class AnyMethod(grpc.GenericRpcHandler):
    def service(self, handler_call_details):
        return grpc.stream_stream_rpc_method_handler(answer)


server = grpc.server(futures.ThreadPoolExecutor(max_workers=64))
server.add_generic_rpc_handlers((AnyMethod(),))
if "TLS_CERTIFICATE" in os.environ:
    with open(os.environ["TLS_CERTIFICATE"], "rb") as certificate, open(os.environ["TLS_KEY"], "rb") as key:
        credentials = grpc.ssl_server_credentials([(key.read(), certificate.read())])
    port = server.add_secure_port(sys.argv[1], credentials)
else:
    port = server.add_insecure_port(sys.argv[1])
server.start()
print(json.dumps({"kind": "listening", "pid": os.getpid(), "port": port}), flush=True)
sys.stdin.read()
os._exit(0)
