#!/bin/sh
# Stands in for init in the machine of tests/kernel.sh: unpacks the checkout, runs the commands as each user, and
# switches the machine off. Its drives: vdb the checkout and vdc the commands, as tar files, and vdd, for the status.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t securityfs security /sys/kernel/security
mkdir -p /dev/shm /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t devpts pts /dev/pts
ip link set lo up
stty -F /dev/ttyS1 raw -echo
exec </dev/null >/dev/ttyS1 2>&1
booted=$(cut -d ' ' -f 1 /proc/uptime)
said=/run/commands
mkdir -p $said
tar -x -C $said -f /dev/vdc
checkout=$(cat $said/checkout)
echo "== Linux $(uname -r), booted in $booted s; security modules: $(cat /sys/kernel/security/lsm)"

worst=0
for user in $(cat $said/as); do
  rm -rf "$checkout"
  mkdir -p "$checkout"
  tar -x -C "$checkout" -f /dev/vdb
  chown -R "$user:" "$checkout"
  above=$checkout
  while [ "$above" != / ]; do above=$(dirname "$above"); chmod a+rx "$above"; done
  cd "$checkout"
  for command in $said/[0-9]*; do
    printf '\n== %s: %s\n' "$user" "$(cat "$command")"
    before=$(date +%s%N)
    { setpriv --reuid="$user" --regid="$user" --init-groups env -i PATH="$checkout/$(cat $said/build):$PATH" \
        HOME="$(getent passwd "$user" | cut -d : -f 6)" LANG=C.UTF-8 sh "$command"
      echo $? >/run/status; } 2>&1 | cat
    status=$(cat /run/status)
    echo "-- status $status after $((($(date +%s%N) - before) / 1000000)) ms"
    [ "$status" -le $worst ] || worst=$status
  done
done
echo $worst | dd of=/dev/vdd conv=fsync 2>/dev/null
echo b >/proc/sysrq-trigger
