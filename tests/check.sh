#!/bin/sh
# The slow checks: lint and the reference, warnings as errors with two compilers, every instruction-set level and set of
# OpenBLAS's kernels, aarch64, sweeps through Slurm and GNU parallel, one run of several ranks, the tests under
# AddressSanitizer and UndefinedBehaviorSanitizer, a few minutes of `make torture`, and a short training run under
# valgrind. Stops at the first that fails; says at the end what this machine could not run.
# WITHOUT="aarch64 fuzzers" in the environment leaves out the emulator, which takes as long as half of the rest, or the
# fuzzers, which take minutes to build, or both. TESTED=build says that `make test` has just run with warnings as errors:
# what it has built is taken.
set -eu
cd "$(dirname "$0")/.."
not_run=build/not-run.txt
step() { printf '\n== %s (%s)\n' "$*" "$(date +%H:%M)"; }
# quietly LOG COMMAND…: shows what the command says only where it fails.
quietly() { log=$1; shift; "$@" >"$log" 2>&1 || { cat "$log"; exit 1; }; }
build() { make --no-print-directory -j"$(nproc)" "$@"; }
mkdir -p build
: >$not_run

step luacheck
luacheck --quiet lua experiments tests docs bench

step the reference of the Lua interface
quietly build/docs.log make --no-print-directory docs

step warnings as errors, gcc, clang and gcc with sanitizers
checked=${TESTED:-build/check}
quietly build/check.log build BUILD="$checked" WERROR=1 all c-tests
quietly build/check-double.log build BUILD="$checked/double" REAL=double WERROR=1 all c-tests
quietly build/check-clang.log build BUILD=build/check/clang CC=clang WERROR=1 LEVELS= all # warnings do not depend on a level
quietly build/check-sanitize.log build SANITIZE=1 WERROR=1 all c-tests cluster

step every instruction-set level, with each set of the kernels of OpenBLAS
lua5.4 tests/levels.lua $not_run "$checked" "$checked/double"

step limits that are reached
JOBS=1 lua5.4 tests/run.lua --later "$checked" # these measure time

step a cluster of one machine
build all cluster
ROUNDS=5 tests/cluster/run.sh build $not_run

if ! grep -q ' avx512vl ' /proc/cpuinfo; then
  step the C tests with vectors and registers as AVX-512 has them, made of what there is
  build BUILD=build/wide LEVELS= CFLAGS="-DSM_VECTOR_BYTES=64 -DSM_VECTOR_REGISTERS=32 -Wno-psabi" all c-tests
  lua5.4 tests/run.lua --c build/wide
fi

for part in ${WITHOUT:-}; do echo "$part: left out, as WITHOUT asks" >>$not_run; done
case ${WITHOUT:-} in *aarch64*) ;; *)
  step aarch64, emulated
  tests/aarch64.sh $not_run ;;
esac

step tests under AddressSanitizer and UndefinedBehaviorSanitizer
# lua5.4 itself is not built with the sanitizer and keeps memory at exit, so leaks are looked for in C tests and by
# valgrind.
export UBSAN_OPTIONS=print_stacktrace=1 ASAN_OPTIONS=allocator_may_return_null=1
export LSAN_OPTIONS=suppressions=$PWD/tests/lsan.supp:print_suppressions=0
PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)" \
  lua5.4 tests/run.lua --memory build/sanitize

step fuzzers, failing allocations, hostile finalizers: a few minutes of \`make torture\`
tests/torture.sh quick

step a short training run under valgrind
build all
runs=$(mktemp -d)
trap 'rm -rf "$runs"' EXIT
OMP_NUM_THREADS=2 valgrind --quiet --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite \
  --error-exitcode=9 --suppressions=tests/valgrind.supp \
  build/smrun --trust --threads 2 --runs "$runs" experiments/xor.lua steps=20 || { echo "valgrind found errors"; exit 1; }
echo "no definite loss, no invalid access"

if [ -s $not_run ]; then
  printf '\nEverything passed. This machine could not run:\n'
  sed 's/^/  /' $not_run
else
  printf '\nEverything passed, on every level and with every set of kernels.\n'
fi
