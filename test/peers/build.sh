#!/bin/sh
# Builds a peer from its pinned Go module, once: test/peers/build.sh collector|jaeger
# Prints the path of the binary, which is kept in .cache under a hash of the module's files. The Collector is the one that we make for users.
set -eu
peer=$1
peers=$(cd "$(dirname "$0")" && pwd)
cache=$(cd "$peers/../.." && pwd)/.cache/peers
case $peer in
collector) exec "$peers/../../scripts/collector.sh" --build ;;
jaeger) package=github.com/jaegertracing/jaeger/cmd/jaeger ;;
*) echo "build.sh: unknown peer '$peer': collector or jaeger" >&2; exit 2 ;;
esac

cd "$peers/$peer"
hash=$(cat go.mod go.sum ./*.go 2>/dev/null | sha256sum | cut -c1-16)
binary=$cache/$peer-$hash
if [ ! -x "$binary" ]; then
	mkdir -p "$cache"
	echo "building $peer (minutes, once) ..." >&2
	# Under a name of its own, then renamed: an interrupted or a second build leaves no half file.
	CGO_ENABLED=0 go build -mod=readonly -trimpath -ldflags='-s -w' -o "$binary.$$" "$package" >&2
	mv "$binary.$$" "$binary"
fi
echo "$binary"
