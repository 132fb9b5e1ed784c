#!/bin/sh
# Builds the injector of failures into BUILD/tests and runs tests/fault/allocations.lua with it, or program.lua.
# Usage: tests/fault/allocations.sh BUILD [program] [arguments of either]    PRELOAD: libraries of the sanitizers
set -eu
cd "$(dirname "$0")/../.."
build=$1
shift
injector=$build/tests/inject.so
if [ ! "$injector" -nt tests/fault/inject.c ] || [ ! "$injector" -nt tests/fault/inject_lua.c ]; then
  mkdir -p "$build/tests"
  ${CC:-cc} -std=c11 -g -O2 -fPIC -shared -D_GNU_SOURCE -Wall -Wextra -Wshadow -Wstrict-prototypes \
    -Wmissing-prototypes $(pkg-config --cflags lua5.4) tests/fault/inject.c tests/fault/inject_lua.c -Wl,-z,lazy \
    -o "$injector" -ldl
fi
export LUA_PATH="lua/?.lua;lua/?/init.lua;;" LUA_CPATH="$build/tests/?.so;$build/lib/?.so;;" OMP_NUM_THREADS=1
export SMRUN="$build/smrun" SM_DATA="$PWD/tests/data"
unset LUA_INIT LUA_INIT_5_4 LUA_PATH_5_4 LUA_CPATH_5_4 SM_INJECT
# Before libasan, whose allocator then stands behind the injector.
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:verify_asan_link_order=0:detect_leaks=0:allocator_may_return_null=1"
export INJECTOR="$PWD/$injector ${PRELOAD:-}"
if [ "${1:-}" = program ]; then
  shift
  exec lua5.4 tests/fault/program.lua "$@"
fi
exec env LD_PRELOAD="$INJECTOR" lua5.4 tests/fault/allocations.lua "$@"
