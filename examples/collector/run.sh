#!/bin/sh
# Shows the exchange of curl and a Python server in an OpenTelemetry Collector. As root. Ports: OTLP_PORT, DEMO_PORT.
set -eu
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
export OTLP_PORT="${OTLP_PORT:-4318}" DEMO_PORT="${DEMO_PORT:-8000}"
collector=${COLLECTOR:-$("$root/test/peers/build.sh" collector)}
. ../processes.sh

"$collector" --config collector.yaml >"$log/collector" 2>&1 &
pids=$!
python3 -u -m http.server --bind 127.0.0.1 --directory site "$DEMO_PORT" >"$log/server" 2>&1 &
pids="$pids $!"
"$root/scripts/start.sh" --config "$PWD/usm.yaml" >"$log/receiver" 2>&1 &
pids="$pids $!"
await collector 'Everything is ready'
await server 'Serving HTTP'
await receiver 'Everything is ready'

curl -s "http://127.0.0.1:$DEMO_PORT/hello.txt"
# A SERVER span (with url.path) and a CLIENT span (with url.full).
await collector 'url.path=/hello.txt'
await collector 'url.full=http'
grep -o 'url.path=[^ ]*\|url.full=[^ ]*' "$log/collector" | sort
