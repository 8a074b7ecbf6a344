#!/bin/sh
# Compiles and runs check.cc against the opentelemetry-cpp that the compiler finds; its headers are all that is needed. CXXFLAGS=-I… names another one.
# Ends with 3 where there is none.
set -eu
cd "$(dirname "$0")"
library=../../otel-thread-context
cxx=${CXX:-c++}
# Split where the shell splits words.
flags=${CXXFLAGS:-}
if ! echo '#include <opentelemetry/context/runtime_context.h>' | $cxx $flags -std=c++17 -E -x c++ - >/dev/null 2>&1; then
	echo 'opentelemetry-cpp is not installed' >&2
	exit 3
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for source in "$library"/src/*.c; do
	cc -std=gnu11 -O2 -fPIC -pthread -I"$library/include" -c -o "$folder/$(basename "$source" .c).o" "$source"
done
$cxx -std=c++17 -O2 -Wall -Wextra -Werror -pthread -I"$library/include" $flags -o "$folder/check" check.cc "$folder"/*.o
"$folder/check"
