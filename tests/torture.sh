#!/bin/sh
# Attacks on the library: random calls of its interface, random and malformed files, failing allocations and disks, runs
# that are stopped, and finalizers that run wherever a binding allocates. docs/security.md says what each part found and
# how long it takes.
# Usage: tests/torture.sh [quick]   quick: the minutes of `make check`, with the same seeds each time
set -eu
cd "$(dirname "$0")/.."
quick=${1:-}
step() { printf '\n-- %s (%s)\n' "$*" "$(date +%H:%M)"; }
build() { make --no-print-directory -j"$(nproc)" "$@"; }
export UBSAN_OPTIONS=print_stacktrace=1 ASAN_OPTIONS=allocator_may_return_null=1
export LSAN_OPTIONS=suppressions=$PWD/tests/lsan.supp:print_suppressions=0
sanitizers="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)"

# poisoned NAME N: a spec while finalizers run; at every N-th chance all of them.
poisoned() {
  SPECS="^$1_spec" HELPER=tests/lua/poison.lua SM_POISON_EVERY=$2 PRELOAD=$sanitizers lua5.4 tests/run.lua build/poison
}
with_library() { LUA_PATH='lua/?.lua;lua/?/init.lua;;' LUA_CPATH='build/lib/?.so;;' lua5.4 "$@"; }
build all
build SANITIZE=1 all
build POISON=1 all

step the interface, called at random
if [ "$quick" ]; then
  lua5.4 tests/fuzz/api.lua build/sanitize --seconds=15 --quiet
else
  lua5.4 tests/fuzz/api.lua build/sanitize --seconds=600 --seed="$(date +%s)"
fi

case ${WITHOUT:-} in *fuzzers*) ;; *)
  step what reads files, fed with random ones
  amount=$([ "$quick" ] && echo 8s || echo 1000000)
  tests/fuzz/run.sh 1 >build/fuzz.log || { cat build/fuzz.log; exit 1; } # builds them
  tests/fuzz/run.sh $amount idx npy png tensors json &
  tests/fuzz/run.sh $amount gzip safetensors npz csv params frame calls
  wait $! ;;
esac

step allocations and calls of the system that fail
tests/fault/allocations.sh build seconds="$([ "$quick" ] && echo 20 || echo 600)"
tests/fault/allocations.sh build program seconds="$([ "$quick" ] && echo 10 || echo 120)"
if [ ! "$quick" ]; then
  PRELOAD=$sanitizers tests/fault/allocations.sh build/sanitize seconds=120
fi

step hostile experiments
SMRUN=build/smrun lua5.4 tests/fault/hostile.lua $([ "$quick" ] && echo "--part=3 --seed=1")

step runs that are stopped, disks that fail, power that is cut
if [ "$quick" ]; then
  tests/fault/disk.sh build calls seconds=20 seed=1
  tests/fault/disk.sh build power seconds=10 seed=1
  with_library tests/fault/kill.lua 10 5 1
else
  tests/fault/disk.sh build calls
  tests/fault/disk.sh build power
  with_library tests/fault/kill.lua 300 100
fi

step finalizers that run wherever a binding allocates
for name in bindings integers params; do poisoned $name 1; done
[ ! "$quick" ] || exit 0
for name in messages text autograd; do poisoned $name 1; done
for name in files checksum; do poisoned $name 3; done
for name in tensor graphs inplace ops nn optim range torch windows data records; do poisoned $name 31; done
for file in tests/lua/*_spec.lua; do
  name=$(basename "$file" _spec.lua)
  case " bindings integers params messages text autograd files checksum tensor graphs inplace ops nn optim range torch \
windows data records raising runner " in *" $name "*) continue ;; esac # these count what the finalizers add
  poisoned "$name" 301
done

step malformed files and run directories
with_library tests/fuzz/malformed.lua --part=1 build/smrun
export LIMIT=300
with_library tests/fuzz/malformed.lua --part=10 build/sanitize/smrun
