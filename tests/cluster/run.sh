#!/bin/sh
# run.sh BUILD [FILE]: every NAME_spec.lua of this directory, with smrun as BUILD has it, beside a Slurm of one node.
# Where its daemons do not start, NO_SLURM tells the specs why, and FILE gets a line that says so.
set -eu
cd "$(dirname "$0")/../.."
build=$1
list=${2:-/dev/null}
PATH=$PATH:/usr/sbin:/sbin

if [ "${IN_SLURM:-}" = '' ]; then
  said=$(mktemp)
  trap 'rm -f "$said"' EXIT
  status=0
  IN_SLURM=yes tests/cluster/slurm.sh "$0" "$build" "$list" 2>"$said" || status=$?
  cat "$said" >&2
  [ $status = 75 ] || exit $status
  NO_SLURM="no Slurm on this machine: $(tail -1 "$said")"
  export NO_SLURM
  echo "$NO_SLURM" >>"$list"
fi

unset OMP_NUM_THREADS SMRUN_CONV SMRUN_GEMM OPENBLAS_CORETYPE SM_TRACEBACK LUA_INIT LUA_INIT_5_4 || :
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export SMRUN="$PWD/$build/smrun" LUA_PATH="lua/?.lua;lua/?/init.lua;;" LUA_CPATH="$build/lib/?.so;;"
failed=0
for spec in tests/cluster/*_spec.lua; do
  echo "== $spec"
  busted --lua=lua5.4 -o plainTerminal "$spec" </dev/null || failed=1
done
exit $failed
