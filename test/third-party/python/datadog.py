"""An HTTP server or client whose spans ddtrace makes, and publishes for its threads. What it says of its spans is the truth that a test compares with.

    datadog.py serve threads|asyncio|gunicorn
    datadog.py call threads|asyncio PORT

They speak the protocol of ../README.md. Modes: which ends are in a span (`both`, `client`,
`server`, `none`); `early`: the server's span is over before it answers; `mixed`: these five in turns, by the request's number. PATCH=1 in the
environment: ddtrace's own integrations make the spans of both ends, and send headers on.
"""

import asyncio
import contextlib
import http.client
import http.server
import json
import os
import queue
import socket
import sys
import threading
from urllib.parse import parse_qsl, urlsplit

from ddtrace import patch
from ddtrace.trace import TraceFilter, tracer

MODES = ("both", "client", "server", "none", "early")
IS_PATCHED = os.environ.get("PATCH") == "1"


def say(line):
    # In one piece: threads and worker processes have this pipe in common.
    os.write(1, (json.dumps(line) + "\n").encode())


class Tell(TraceFilter):
    """Instead of sending them to an agent."""

    def __init__(self, tell):
        self.tell = tell

    def process_trace(self, trace):
        ids = [span.get_tag("request.id") for span in trace if span.get_tag("request.id") is not None]
        if ids:
            spans = [{"trace": f"{s.trace_id:032x}", "span": f"{s.span_id:016x}", "name": s.name} for s in trace]
            self.tell({"kind": "trace", "id": int(ids[0]), "spans": spans})
        return None


@contextlib.contextmanager
def span(name, number, is_wanted):
    if not is_wanted:
        yield
        return
    with tracer.trace(name) as current:
        current.set_tag("request.id", str(number))
        yield


def asked(target):
    query = dict(parse_qsl(urlsplit(target).query))
    return int(query["id"]), query["mode"]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        number, mode = asked(self.path)
        with span("peer.server", number, mode in ("both", "server")):
            with span("peer.server", number, mode == "early"):
                pass
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


def serve_threads():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    say({"kind": "ready", "port": server.server_address[1]})
    sys.stdin.read()


async def serve_asyncio():
    from aiohttp import web

    async def handle(request):
        number, mode = asked(request.path_qs)
        # Others have their turn while this request is in its span.
        with span("peer.server", number, mode == "early"):
            await asyncio.sleep(0.001 * (number % 5))
        with span("peer.server", number, mode in ("both", "server")):
            await asyncio.sleep(0.001 * (number % 3))
            response = web.StreamResponse(headers={"Content-Length": "2"})
            await response.prepare(request)
            await response.write(b"ok")
            await response.write_eof()
        return response

    app = web.Application()
    app.router.add_get("/t", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    listener = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, listener).start()
    say({"kind": "ready", "port": listener.getsockname()[1]})
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def serve_gunicorn():
    from ddtrace.contrib.wsgi import DDWSGIMiddleware
    from gunicorn.app.base import BaseApplication

    def plain(environ, start_response):
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    def marked(environ, start_response):
        number, _ = asked("?" + environ["QUERY_STRING"])
        tracer.current_root_span().set_tag("request.id", str(number))
        return plain(environ, start_response)

    traced = DDWSGIMiddleware(marked)

    def application(environ, start_response):
        _, mode = asked("?" + environ["QUERY_STRING"])
        return (traced if IS_PATCHED or mode in ("both", "server") else plain)(environ, start_response)

    class Gunicorn(BaseApplication):
        def load_config(self):
            settings = {"bind": "127.0.0.1:0", "workers": 2, "worker_class": "gthread", "threads": 2, "loglevel": "error"}
            settings |= {"preload_app": True, "when_ready": ready, "graceful_timeout": 1}
            for name, value in settings.items():
                self.cfg.set(name, value)

        def load(self):
            return application

    def ready(arbiter):
        say({"kind": "ready", "port": arbiter.LISTENERS[0].sock.getsockname()[1]})

    def end():
        sys.stdin.read()
        os.kill(os.getpid(), 15)

    threading.Thread(target=end, daemon=True).start()
    Gunicorn().run()


def target_of(number, mode):
    if mode == "mixed":
        mode = MODES[number % len(MODES)]
    return mode, f"/t?id={number}&mode={mode}"


def call_threads(port, first, count, concurrency, mode):
    numbers = queue.SimpleQueue()
    for number in range(first, first + count):
        numbers.put(number)
    failed = []

    def work():
        connection = http.client.HTTPConnection("127.0.0.1", port)
        while True:
            try:
                number = numbers.get_nowait()
            except queue.Empty:
                connection.close()
                return
            its_mode, target = target_of(number, mode)
            with span("peer.client", number, its_mode in ("both", "client", "early")):
                connection.request("GET", target)
                if connection.getresponse().read() != b"ok":
                    failed.append(number)

    threads = [threading.Thread(target=work) for _ in range(concurrency)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(failed)


async def call_asyncio(port, first, count, concurrency, mode):
    import aiohttp

    numbers = iter(range(first, first + count))
    failed = []

    async def work(session):
        for number in numbers:
            its_mode, target = target_of(number, mode)
            with span("peer.client", number, its_mode in ("both", "client", "early")):
                async with session.get(f"http://127.0.0.1:{port}{target}") as response:
                    if await response.read() != b"ok":
                        failed.append(number)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=concurrency)) as session:
        await asyncio.gather(*(work(session) for _ in range(concurrency)))
    return len(failed)


async def runs(call, traces):
    """All in one event loop, as in a program that goes on."""
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        first, count, concurrency, mode = line.split()[1:]
        failed = call(int(first), int(count), int(concurrency), mode)
        if asyncio.iscoroutine(failed):
            failed = await failed
        say({"kind": "done", "failed": failed, "traces": traces})
        traces.clear()


def main(role, kind, port=None):
    if kind == "asyncio":
        patch(asyncio=True)
    if IS_PATCHED:
        patch(httplib=True, aiohttp=True)
    if role == "serve":
        tracer.configure(trace_processors=[Tell(say)])
        if kind == "asyncio":
            asyncio.run(serve_asyncio())
        else:
            {"threads": serve_threads, "gunicorn": serve_gunicorn}[kind]()
    else:
        traces = []
        tracer.configure(trace_processors=[Tell(traces.append)])
        say({"kind": "ready"})
        call = {"threads": call_threads, "asyncio": call_asyncio}[kind]
        asyncio.run(runs(lambda *args: call(int(port), *args), traces))
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
