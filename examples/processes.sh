# Sourced by each run.sh, in its folder: the processes that an example starts end with it, and their logs are in $log.
log=$(mktemp -d)
pids= backend=
# A backend is killed: Jaeger holds nothing that would be lost, and would wait for idle connections.
trap 'kill $pids 2>/dev/null; [ -z "$backend" ] || kill -KILL $backend 2>/dev/null; wait; rm -rf "$log"' EXIT
trap 'exit 143' TERM # dash ends at a signal without what was asked for at EXIT
await() { # until a log has said it
	i=0
	until grep -q "$2" "$log/$1" 2>/dev/null; do
		i=$((i + 1))
		[ $i -lt 600 ] || { echo "$1 did not start:" >&2; cat "$log/$1" >&2; exit 1; }
		sleep 0.1
	done
}
