"""An HTTP server or client whose spans OpenTelemetry's SDK and its instrumentations of WSGI and requests make, export, and send on as traceparent. The
protocol is that of ../README.md, without truth: that is what they export (OTEL_EXPORTER_OTLP_TRACES_ENDPOINT). A server asks the port behind it before it
answers.

    otel.py serve PORT
    otel.py call PORT
"""

import json
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import requests
from gunicorn.app.base import BaseApplication
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


def say(line):
    os.write(1, (json.dumps(line) + "\n").encode())


def start_sdk():
    """After a fork: its thread is not inherited."""
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(), schedule_delay_millis=200))
    trace.set_tracer_provider(provider)
    RequestsInstrumentor().instrument()
    return provider


sessions = threading.local()


def get(port, target):
    if not hasattr(sessions, "one"):
        sessions.one = requests.Session()
    return sessions.one.get(f"http://127.0.0.1:{port}{target}", timeout=10).content


def serve(port):
    def application(environ, start_response):
        body = get(port, f"{environ['PATH_INFO']}?{environ['QUERY_STRING']}")
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]

    class Gunicorn(BaseApplication):
        def load_config(self):
            settings = {"bind": "127.0.0.1:0", "workers": 1, "worker_class": "gthread", "threads": 4, "loglevel": "error"}
            settings |= {"post_fork": lambda arbiter, worker: start_sdk(), "when_ready": ready, "graceful_timeout": 1, "keepalive": 60}
            for name, value in settings.items():
                self.cfg.set(name, value)

        def load(self):
            return OpenTelemetryMiddleware(application)

    def ready(arbiter):
        say({"kind": "ready", "port": arbiter.LISTENERS[0].sock.getsockname()[1]})

    def end():
        sys.stdin.read()
        os.kill(os.getpid(), 15)

    threading.Thread(target=end, daemon=True).start()
    Gunicorn().run()


def call(port):
    provider = start_sdk()
    say({"kind": "ready"})
    for line in sys.stdin:
        first, count, concurrency = (int(word) for word in line.split()[1:4])
        with ThreadPoolExecutor(concurrency) as pool:
            bodies = pool.map(lambda number: get(port, f"/echo?id={number}&size=10"), range(first, first + count))
            failed = sum(len(body) != 10 for body in bodies)
        provider.force_flush()
        say({"kind": "done", "failed": failed})


if __name__ == "__main__":
    {"serve": serve, "call": call}[sys.argv[1]](int(sys.argv[2]))
