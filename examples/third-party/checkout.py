"""An application that ddtrace traces by hand, and whose HTTP library nobody has instrumented: checkout.py PORT PRICES_PORT. Its spans go to Jaeger."""

import http.client
import http.server
import sys

from ddtrace.trace import tracer


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with tracer.trace("checkout"):
            with tracer.trace("look the price up"):
                prices = http.client.HTTPConnection("127.0.0.1", int(sys.argv[2]))
                prices.request("GET", "/price.txt")
                price = prices.getresponse().read()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(price)


server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
print("serving", flush=True)
server.serve_forever()
