#!/bin/sh
# Fuzzes what reads files of others and what a worker says, with clang's libFuzzer under AddressSanitizer and
# UndefinedBehaviorSanitizer.
# Usage: tests/fuzz/run.sh AMOUNT [NAME…]   AMOUNT: 30s (seconds each) or 1000000 (executions each)
#   names: idx gzip npy safetensors png frame (readers in C), tensors npz csv json params calls (readers in Lua);
#   all of them by default
# Inputs that were found to do more than others, and findings, are kept in build/fuzz/NAME; the seeds and words that it
# starts with lie here. Says how many executions there were, how many edges they covered, and in how many seconds.
set -eu
cd "$(dirname "$0")/../.."
amount=${1:?usage: tests/fuzz/run.sh SECONDSs|RUNS [NAME…]}
shift
[ $# -gt 0 ] || set -- idx gzip npy safetensors png frame tensors npz csv json params calls
case $amount in
  *s) limit=-max_total_time=${amount%s} ;;
  *) limit=-runs=$amount ;;
esac
out=build/fuzz
mkdir -p $out

clang=${FUZZ_CC:-clang}
if ! echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' |
  "$clang" -x c -fsanitize=fuzzer,address,undefined - -o $out/probe 2>/dev/null; then
  echo "skipped: fuzzing of what reads files ($*): it needs clang with libFuzzer (Debian: clang libclang-rt-dev)"
  exit 0
fi

sanitizers=address,undefined
build() {
  make --no-print-directory -j"$(nproc)" BUILD=$out CC="$clang" SANITIZE=1 LEVELS= CFLAGS=-fsanitize=fuzzer-no-link "$@"
}
objects=$(build objects)
build $objects >$out/build.log 2>&1 || { cat $out/build.log; exit 1; }

# harness NAME SOURCE: links a harness where its sources or the objects are newer.
harness() {
  mkdir -p $out/bin
  if [ -x $out/bin/$1 ] && [ -z "$(find tests/fuzz/$2 tests/fuzz/input.[ch] $objects -newer $out/bin/$1)" ]; then
    return
  fi
  "$clang" -std=c11 -g -O1 -D_GNU_SOURCE -Wall -Wextra -Wno-pass-failed -fno-sanitize-recover=undefined \
    -fsanitize=fuzzer,$sanitizers -Iruntime $(pkg-config --cflags lua5.4) tests/fuzz/$2 tests/fuzz/input.c $objects \
    -o $out/bin/$1 $(pkg-config --libs lua5.4) -pthread $(pkg-config --libs libpng) -lz -ldl -lm -rdynamic
}

failed=
for name in "$@"; do
  source=$name.c
  [ -f tests/fuzz/$source ] || source=lua.c
  harness $name $source
  mkdir -p $out/$name/corpus $out/$name/findings
  words=tests/fuzz/$name.dict
  [ -f $words ] && words=-dict=$words || words=
  # Lua's state lives as long as the process, so that leaks are looked for elsewhere.
  status=0
  SOURCE=$PWD ASAN_OPTIONS=detect_leaks=$([ $source = lua.c ] && echo 0 || echo 1):allocator_may_return_null=1 \
    $out/bin/$name $limit $words -max_len=4096 -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 -verbosity=1 \
    -artifact_prefix=$out/$name/findings/ $out/$name/corpus tests/fuzz/seeds/$name >$out/$name/log 2>&1 || status=$?
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' $out/$name/log)
  edges=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' $out/$name/log | tail -n 1)
  features=$(sed -n 's/.* ft: \([0-9]*\) .*/\1/p' $out/$name/log | tail -n 1)
  seconds=$(sed -n 's/^Done [0-9]* runs in \([0-9]*\) second.*/\1/p' $out/$name/log)
  printf '%-12s %9s executions, %5s edges, %5s features, %4s seconds\n' $name "${runs:-?}" "${edges:-?}" \
    "${features:-?}" "${seconds:-?}"
  if [ $status -ne 0 ]; then
    failed="$failed $name"
    grep -E 'FINDING|ERROR|runtime error|SUMMARY|Test unit written' $out/$name/log || tail -n 20 $out/$name/log
  fi
done
[ -z "$failed" ] || { echo "findings in:$failed (the inputs lie in build/fuzz/NAME/findings)"; exit 1; }
