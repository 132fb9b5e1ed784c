#!/bin/sh
# What a newcomer does, and every instruction-set level, in bare Debians: in a fresh chroot of each, a copy of the
# checkout (what git tracks, and what it does not ignore), the README's commands, then the C tests and the numerical
# specs on every level, built with warnings as errors by that Debian's compiler, and the reference.
# Environment: SUITES="bookworm trixie"; DEBIAN_MIRROR, which otherwise is that of this machine's apt.
set -eu
check=check-debian
. "$(dirname "$0")/chroot.sh"

failed=
for suite in ${SUITES:-bookworm trixie}; do
  bare "$suite" make,ca-certificates || { failed="$failed $suite (debootstrap)"; continue; }
  for command in 'make run ARGS="data=mnist_mini steps=300"' 'make test' \
    'make -j2 WERROR=1 BUILD=build/check all c-tests && make -j2 WERROR=1 BUILD=build/check/double REAL=double all c-tests &&
     lua5.4 tests/levels.lua build/not-run.txt build/check build/check/double && sort -u build/not-run.txt' \
    'make docs'; do
    printf '\n== %s: %s\n' "$suite" "$command"
    in_chroot "$root" "$command" </dev/null || failed="$failed
  $suite: $command"
  done
done
[ -z "$failed" ] || { echo "failed:$failed" >&2; exit 1; }
