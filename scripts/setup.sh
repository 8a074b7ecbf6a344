#!/usr/bin/env bash
# Installs what is missing to build and run the receiver: Debian packages, npm dependencies.
# With --test also what only the tests need, with --kernels what those on other kernels need besides, with --collector what building
# the Collector needs. Quiet when nothing is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

# libuv1-dev, node-api-headers: headers alone; the addon binds to the Node.js that loads it.
build_packages=(clang llvm bpftool libbpf-dev libelf-dev zlib1g-dev libuv1-dev g++ make)
test_packages=(clang-format nginx-light haproxy curl wget wrk iproute2 iptables python3 golang-go procps)
# HTTP/2 of one more kind, and load with it.
test_packages+=(nghttp2-client nghttp2-server nghttp2-proxy)
# gRPC of two more kinds: C++, and Java, of which Maven fetches the rest.
test_packages+=(libgrpc++-dev nlohmann-json3-dev default-jdk-headless maven)
# Other libcs, linkers and architectures, for the programs whose thread context is read, and for the package for arm64.
test_packages+=(musl-tools lld gcc-aarch64-linux-gnu libc6-dev-arm64-cross libstdc++6-arm64-cross qemu-user)
# For the tracers of other people (test/third-party), which it fetches.
test_packages+=(python3-pip)
# The image is built and run without an engine (test/package).
test_packages+=(buildah crun)
# Other kernels are booted in an emulator (test/kernels).
kernel_packages=(qemu-system-x86 busybox-static cpio kmod xz-utils debian-archive-keyring)

go_needed=1.26.8

packages=("${build_packages[@]}")
case "${1:-}" in
--test) packages+=("${test_packages[@]}") ;;
--kernels) packages+=("${test_packages[@]}" "${kernel_packages[@]}") ;;
--collector) packages+=(golang-go) ;;
esac

mkdir -p build
exec 9>build/.setup.lock
flock 9

is_installed() {
	[[ "$(dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null)" == "ii "* ]]
}

install_packages() {
	local missing=() package
	for package in "${packages[@]}"; do
		# Go, Java and pip may have come from somewhere else than Debian.
		[[ "$package" == golang-go ]] && command -v go >/dev/null && continue
		[[ "$package" == default-jdk-headless ]] && command -v javac >/dev/null && continue
		[[ "$package" == maven ]] && command -v mvn >/dev/null && continue
		[[ "$package" == python3-pip ]] && python3 -m pip --version >/dev/null 2>&1 && continue
		is_installed "$package" || missing+=("$package")
	done
	((${#missing[@]})) || return 0
	if ! command -v apt-get >/dev/null; then
		echo "setup: this system has no apt-get; install these packages in its own way, then try again: ${missing[*]}" >&2
		exit 1
	fi
	if ((EUID != 0)); then
		echo "setup: installing packages needs root; run 'sudo apt-get install ${missing[*]}', then try again" >&2
		exit 1
	fi
	echo "setup: installing Debian packages: ${missing[*]}"
	export DEBIAN_FRONTEND=noninteractive
	local log=build/apt.log
	apt-get update -q >"$log" 2>&1 || true # an old list is often good enough; the installation tells
	if ! apt-get install -q -y --no-install-recommends "${missing[@]}" >>"$log" 2>&1; then
		tail -n 20 "$log" >&2
		echo "setup: apt-get could not install: ${missing[*]}" >&2
		exit 1
	fi
}

# The Collector and the Go peers want a newer Go than Debian has; any Go can fetch another as a module.
install_go() {
	local version machine directory
	version=$(go env GOVERSION 2>/dev/null || go version | awk '{ print $3 }')
	[[ -x .cache/go/bin/go || "$(printf '%s\n' "go$go_needed" "$version" | sort -V | head -n 1)" == "go$go_needed" ]] && return 0
	echo "setup: installing Go $go_needed (found $version)"
	machine=$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')
	directory=$(cd "$(mktemp -d)" && GOFLAGS=-mod=mod go mod download -json "golang.org/toolchain@v0.0.1-go$go_needed.linux-$machine" |
		sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
	# A module's files come without their permission to run.
	chmod -R u+w "$directory"
	chmod +x "$directory"/bin/* "$directory"/pkg/tool/*/*
	mkdir -p .cache
	ln -sfn "$directory" .cache/go
}

install_modules() {
	local stamp=node_modules/.installed-lock.json
	cmp -s package-lock.json "$stamp" && return 0
	echo 'setup: installing npm dependencies'
	npm ci --no-audit --no-fund --loglevel=error
	cp package-lock.json "$stamp"
}

if ! command -v dpkg-query >/dev/null; then
	echo "setup: not a Debian system; make sure that it has: ${packages[*]}" >&2
else
	install_packages
fi
install_modules
if (($#)); then install_go; fi
