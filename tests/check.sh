#!/bin/sh
# The slow checks: lint, warnings as errors with two compilers and for two processors, the C tests with the widest vectors,
# every test under AddressSanitizer and UndefinedBehaviorSanitizer, and a short training run under valgrind. Stops at the first
# that fails.
set -eu
cd "$(dirname "$0")/.."
step() { printf '\n== %s\n' "$*"; }

step luacheck
luacheck --quiet lua experiments tests

step warnings as errors, gcc and clang
make --no-print-directory -j2 BUILD=build/werror-gcc CC=gcc WERROR=1 all >build/werror-gcc.log 2>&1 || { cat build/werror-gcc.log; exit 1; }
make --no-print-directory -j2 BUILD=build/werror-clang CC=clang WERROR=1 all >build/werror-clang.log 2>&1 || { cat build/werror-clang.log; exit 1; }

step the core for aarch64, with a cross-compiler
aarch64=build/aarch64
make --no-print-directory -j2 BUILD=$aarch64 CC=aarch64-linux-gnu-gcc LEVELS= WERROR=1 \
  $(ls runtime/core/*.c | sed "s,runtime/\(.*\)c$,$aarch64/base/\1o,") >build/aarch64.log 2>&1 || { cat build/aarch64.log; exit 1; }

step the C tests with vectors and registers as AVX-512 has them, made of what there is
make --no-print-directory -j2 BUILD=build/wide LEVELS= CFLAGS="-DSM_VECTOR_BYTES=64 -DSM_VECTOR_REGISTERS=32 -Wno-psabi" \
  all c-tests
SPECS='^$' lua5.4 tests/run.lua build/wide

step tests under AddressSanitizer and UndefinedBehaviorSanitizer
make --no-print-directory -j2 SANITIZE=1 all c-tests
# lua5.4 itself is not built with the sanitizer and keeps memory at exit, so leaks are looked for in C tests and by valgrind.
export UBSAN_OPTIONS=print_stacktrace=1 ASAN_OPTIONS=allocator_may_return_null=1
export LSAN_OPTIONS=suppressions=$PWD/tests/lsan.supp:print_suppressions=0
PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)" \
  lua5.4 tests/run.lua build/sanitize

step a short training run under valgrind
make --no-print-directory -j2 all
runs=$(mktemp -d)
trap 'rm -rf "$runs"' EXIT
OMP_NUM_THREADS=2 valgrind --quiet --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite \
  --error-exitcode=9 --suppressions=tests/valgrind.supp \
  build/smrun --threads 2 --runs "$runs" experiments/xor.lua steps=20 || { echo "valgrind found errors"; exit 1; }
echo "no definite loss, no invalid access"
