#!/bin/sh
# Builds what stands between smrun and the disk into BUILD/tests, and runs tests/fault/disk.lua with it, or power.lua.
# Usage: tests/fault/disk.sh BUILD calls|power [arguments of either]
# Environment: SMRUN_OPTIONS, words for smrun ahead of others, as --trust.
set -eu
cd "$(dirname "$0")/../.."
build=$1 part=$2
shift 2
disk=$build/tests/disk.so
if [ ! "$disk" -nt tests/fault/disk.c ]; then
  mkdir -p "$build/tests"
  ${CC:-cc} -std=c11 -g -O2 -fPIC -shared -D_GNU_SOURCE -Wall -Wextra -Wshadow -Wstrict-prototypes \
    -Wmissing-prototypes tests/fault/disk.c -Wl,-z,lazy -o "$disk" -ldl
fi
export LUA_PATH="lua/?.lua;lua/?/init.lua;;" LUA_CPATH="$build/lib/?.so;;" OMP_NUM_THREADS=1
export SMRUN="$PWD/$build/smrun" DISK="$PWD/$disk"
[ ! -w /dev/shm ] || export TMPDIR=/dev/shm # what a disk does is played here, and not waited for
unset LUA_INIT LUA_INIT_5_4 LUA_PATH_5_4 LUA_CPATH_5_4
exec lua5.4 "tests/fault/disk_$part.lua" "$@"
