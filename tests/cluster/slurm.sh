#!/bin/sh
# slurm.sh COMMAND…: runs a command beside a Slurm of one node: munged, slurmctld and slurmd of their own, on loopback
# and free ports, with all their files in a temporary directory. SLURM_CONF leads the command's sbatch there. They end
# with the command, however that ends. The exit status is the command's, or 75 where the daemons do not start; then the
# last line on standard error says why.
set -eu
PATH=$PATH:/usr/sbin:/sbin
not_here=75 # as EX_TEMPFAIL of sysexits.h
refuse() { printf '%s\n' "$*" >&2; exit $not_here; }

for program in munged slurmctld slurmd sbatch sinfo python3; do
  command -v $program >/dev/null || refuse "$program is not installed"
done
name=$(hostname -s)
getent hosts "$name" >/dev/null || refuse "the name of this machine, $name, has no address"

place=$(mktemp -d "${TMPDIR:-/tmp}/slurm-XXXXXX")
started=
up=
# Those that a failed command has left: slurmd does not end them with itself.
end_jobs() {
  [ -n "$up" ] || return 0
  scancel --full --signal=KILL --user="$user" || :
  waited=0
  while [ -n "$(squeue --noheader 2>/dev/null)" ] && [ $waited -lt 100 ]; do
    scancel --user="$user" || :
    waited=$((waited + 1))
    sleep 0.1
  done
}
finish() {
  trap '' HUP INT TERM
  end_jobs
  for process in $started; do kill "$process" 2>/dev/null || :; done
  waited=0
  for process in $started; do
    while kill -0 "$process" 2>/dev/null; do # a killed child that is not waited for yet answers, too
      case $(ps -o stat= -p "$process") in Z* | '') break ;; esac
      [ $waited -lt 50 ] || kill -9 "$process" 2>/dev/null || :
      waited=$((waited + 1))
      sleep 0.1
    done
  done
  rm -rf "$place"
}
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

chmod 755 "$place" # munged asks for it
mkdir "$place/state" "$place/spool"
(umask 077 && dd if=/dev/urandom of="$place/munge.key" bs=128 count=1 2>/dev/null)
ports=$(python3 -c 'import socket
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(each.getsockname()[1] for each in held))')
user=$(id -un)
cat >"$place/slurm.conf" <<END
ClusterName=one
SlurmctldHost=$name(127.0.0.1)
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmctldPort=${ports% *}
SlurmdPort=${ports#* }
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$place/munge.socket,cred_expire=5 # seconds until a requeued job begins again
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
SchedulerType=sched/backfill
ReturnToService=2
KillWait=20
StateSaveLocation=$place/state
SlurmdSpoolDir=$place/spool
SlurmctldPidFile=$place/slurmctld.pid
SlurmdPidFile=$place/slurmd.pid
SlurmctldLogFile=$place/slurmctld.log
SlurmdLogFile=$place/slurmd.log
NodeName=$name NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=10 State=UP
END
printf 'CgroupAutomount=no\n' >"$place/cgroup.conf"
export SLURM_CONF="$place/slurm.conf"

# start NAME COMMAND…: a daemon in the foreground, which ends with this shell; what it says goes to NAME.out.
start() {
  daemon=$1
  shift
  setpriv --pdeathsig TERM "$@" >"$place/$daemon.out" 2>&1 </dev/null &
  started="$! $started"
}
# why NAME: the last that a daemon said.
why() {
  cat "$place/$1.out" "$place/$1.log" 2>/dev/null | grep -i -E 'error|fatal' | tail -1
}
alive() { kill -0 "${started%% *}" 2>/dev/null; }

start munged munged --foreground --socket="$place/munge.socket" --key-file="$place/munge.key" --num-threads=2 \
  --pid-file="$place/munged.pid" --log-file="$place/munged.log" --seed-file="$place/munge.seed"
waited=0
until [ -S "$place/munge.socket" ]; do
  alive && [ $waited -lt 100 ] || refuse "munged does not start: $(why munged)"
  waited=$((waited + 1))
  sleep 0.1
done
start slurmctld slurmctld -D -i
start slurmd slurmd -D -N "$name"
waited=0
until [ "$(sinfo --noheader --format=%t 2>/dev/null)" = idle ]; do
  alive && [ $waited -lt 300 ] || refuse "slurmd does not start: $(why slurmd); slurmctld: $(why slurmctld)"
  waited=$((waited + 1))
  sleep 0.1
done

up=yes
status=0
"$@" || status=$?
exit $status
