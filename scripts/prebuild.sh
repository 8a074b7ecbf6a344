#!/usr/bin/env bash
# Builds the addon and the BPF objects for installations without a compiler: for x64 and arm64, and for C libraries from glibc 2.28 on.
# They come into build/linux-x64/ and build/linux-arm64/. Expects scripts/setup.sh to have run. Ends with 3 when what it needs of other people
# cannot be had: a cross compiler (zig, of PyPI) and the static libraries of Debian, both kept in .cache/.
set -euo pipefail
cd "$(dirname "$0")/.."

glibc=2.28
zig=ziglang==0.13.0
zig_hash=sha256:3ce0c9f16547e5d61b32e0d226926e9a2552ef4b91fccf7ab5ea1a623a77824b # the wheel for x86-64

cache=$PWD/.cache/prebuild
mkdir -p "$cache" build
exec 9>"$cache/.lock"
flock 9

unavailable() {
	echo "prebuild: $*" >&2
	exit 3
}

install_compiler() {
	[[ ! -e $cache/$zig ]] || return 0
	[[ $(uname -m) == x86_64 ]] || unavailable "its compiler is for x86-64, and this machine is $(uname -m)"
	echo "prebuild: installing $zig"
	rm -rf "$cache/compiler"
	python3 -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --target "$cache/compiler" \
		-r <(echo "$zig --hash=$zig_hash") >"$cache/pip.log" 2>&1 || unavailable "pip cannot install $zig: $(tail -n 1 "$cache/pip.log")"
	touch "$cache/$zig"
}

# As apt would install them on a machine of that kind, but in a folder; nothing of this machine's own apt changes.
fetch_libraries() {
	local debian=$1 folder=$cache/$1 deb
	[[ ! -e $folder/complete ]] || return 0
	command -v apt-get >/dev/null || unavailable 'the static libraries come from Debian, and this system has no apt-get'
	echo "prebuild: fetching libbpf, libelf and zlib for $debian"
	rm -rf "$folder"
	mkdir -p "$folder"/apt/{lists,archives}/partial "$folder/debs"
	local apt=(apt-get -q -o "APT::Architecture=$debian" -o "APT::Architectures=$debian" -o APT::Sandbox::User=root
		-o "Dir::State::Lists=$folder/apt/lists" -o "Dir::Cache=$folder/apt" -o Acquire::Languages=none)
	"${apt[@]}" update >"$folder/apt.log" 2>&1 || true # some list is often enough; the download tells
	(cd "$folder/debs" && "${apt[@]}" download libbpf-dev libelf-dev zlib1g-dev libuv1-dev linux-libc-dev libgcc-12-dev) >>"$folder/apt.log" 2>&1 ||
		unavailable "apt-get cannot download the libraries for $debian: $(tail -n 1 "$folder/apt.log")"
	for deb in "$folder"/debs/*.deb; do dpkg-deb -x "$deb" "$folder/root"; done
	# For the bill of materials.
	for deb in "$folder"/debs/*.deb; do dpkg-deb -W --showformat='${Package} ${Version}\n' "$deb"; done >"$folder/libraries"
	# What GNU ld does with --wrap (native/static_archives.cc), zig's linker does not.
	for archive in libbpf libelf; do
		llvm-objcopy --redefine-sym stderr=__wrap_stderr "$folder"/root/usr/lib/*/$archive.a
	done
	# Only these: the rest of /usr/include belongs to another C library than the compiler's own.
	mkdir "$folder/include"
	ln -s ../root/usr/include/bpf ../root/usr/include/uv ../root/usr/include/uv.h "$folder/include/"
	rm -rf "$folder/apt"
	touch "$folder/complete"
}

# libgcc has atomic operations that Debian's static libraries for arm64 call, and zig's runtime has not.
build_for() {
	local name=$1 machine=$2 debian=$3
	local root=$cache/$debian/root libraries=$cache/$debian/root/usr/lib/$machine-linux-gnu
	local work=$PWD/build/prebuild/$name to=$PWD/build/$name file
	make -s -j"$(nproc)" -C bpf BUILD="$work" MACHINE="$machine" INCLUDE="$root/usr/include/$machine-linux-gnu"
	make -s -j"$(nproc)" -C native BUILD="$work" INCLUDES="-isystem $cache/$debian/include" \
		CXX="$cache/compiler/ziglang/zig c++ -target $machine-linux-gnu.$glibc" GNU_LDFLAGS= \
		LDLIBS="$libraries/libbpf.a $libraries/libelf.a $libraries/libz.a $(echo "$root"/usr/lib/gcc/*/*/libgcc.a)"
	mkdir -p "$to"
	# With their times, by which package.sh knows that they have not changed.
	llvm-strip --strip-all --preserve-dates -o "$to/usm.node" "$work/usm.node"
	cp --preserve=timestamps "$work/usm.bpf.o" "$work/threads.bpf.o" "$to/"
	# What the static libraries ask of those who hand them on.
	for file in libbpf libelf zlib1g; do
		cp --preserve=timestamps "$root/usr/share/doc/$file-dev/copyright" "$to/LICENSE.${file%1g}"
	done
	cp --preserve=timestamps "$cache/compiler/ziglang/lib/libcxx/LICENSE.TXT" "$to/LICENSE.libc++"
	check_libraries "$to/usm.node"
}

# A symbol of a newer C library would make it fail to load there, and nowhere else.
check_libraries() {
	local newest
	newest=$(llvm-readelf --version-info "$1" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1)
	if [[ $(printf '%s\n' "GLIBC_$glibc" "$newest" | sort -V | tail -n 1) != "GLIBC_$glibc" ]]; then
		echo "prebuild: $1 needs $newest, and must do with glibc $glibc" >&2
		exit 1
	fi
}

export ZIG_GLOBAL_CACHE_DIR=$cache/objects ZIG_LOCAL_CACHE_DIR=$cache/objects
install_compiler
fetch_libraries amd64
fetch_libraries arm64
build_for linux-x64 x86_64 amd64
build_for linux-arm64 aarch64 arm64
