#!/bin/sh
# Compiles the addon, with the C library inside: build.sh OUTPUT
set -eu
output=$1
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
library=$root/otel-thread-context
# The variable must be found by its name; everything else of the library stays inside.
dialect=$([ "$(uname -m)" = x86_64 ] && echo -mtls-dialect=gnu2 || true)
cc -std=gnu11 -O2 -Wall -Wextra -Werror -fPIC $dialect -fvisibility=hidden '-DOTEL_THREAD_CONTEXT_API=' -shared -pthread -Wl,-z,now \
	-I"$root/node_modules/node-api-headers/include" -I"$library/include" -o "$output" addon.c "$library"/src/*.c
