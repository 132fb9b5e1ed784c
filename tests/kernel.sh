#!/bin/sh
# Commands under the kernel of Debian 12, Linux 6.1, whose Landlock has the ABI 2: it knows no truncation, no network
# and no scopes. QEMU emulates a small Debian 12 with this checkout in it, as built here, and runs each command twice:
# as root, and as an ordinary user who owns the checkout.
# Usage: tests/kernel.sh [COMMAND…]   each word is a line for the shell; without any, confinement at work
# Environment:
#   BUILD=build             what was built here, on a Debian 12
#   AS="root person"        who runs the commands
#   APPEND="lsm=yama"       words for the kernel's command line; these take Landlock away, and smrun then refuses
#   SUITE=trixie            another Debian with its kernel (6.12: Landlock's ABI 6)
#   LIMIT=3600              seconds until the machine is switched off
# The system is made once, under build/kernel (1.5 GB), and made anew when packages.txt or kernel_guest.sh changes.
set -eu
cd "$(dirname "$0")/.."
needs() { echo "check-kernel needs $*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || needs "root, to make a Debian"
for pair in debootstrap:debootstrap qemu-system-x86_64:qemu-system-x86 mke2fs:e2fsprogs; do
  command -v "${pair%:*}" >/dev/null || needs "${pair%:*} (Debian's package ${pair#*:})"
done
suite=${SUITE:-bookworm} build=${BUILD:-build}
[ -x "$build/smrun" ] || needs "a build: make BUILD=$build all c-tests"
mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' |
  head -n 1)}
[ -n "$mirror" ] || needs "a mirror of Debian: apt knows none; set DEBIAN_MIRROR"

# The system: packages that running and testing take, the kernel, and a program in place of init.
place=$PWD/build/kernel/$suite
mkdir -p "$place" build/debian/cache
made_of=$(cat third_party/packages.txt tests/kernel_guest.sh | cksum)
if [ "$made_of" != "$(cat "$place/made-of" 2>/dev/null)" ]; then
  echo "== making $suite with its kernel (once)"
  root=$place/root
  rm -rf --one-file-system "$root" "$place/made-of"
  packages=$(sed -n 's/^\([^# ]*\) .*\(run\|test\)$/\1/p' third_party/packages.txt | paste -sd,)
  debootstrap --variant=minbase --include="$packages,linux-image-cloud-amd64,iproute2" \
    --cache-dir="$PWD/build/debian/cache" "$suite" "$root" "$mirror" >"$place/debootstrap.log" 2>&1 ||
    { tail "$place/debootstrap.log" >&2; exit 1; }
  cp tests/kernel_guest.sh "$root/sbin/kernel-guest"
  chmod 755 "$root/sbin/kernel-guest"
  chroot "$root" useradd --create-home person
  cp "$root"/boot/vmlinuz-* "$place/vmlinuz"
  cp "$root"/boot/initrd.img-* "$place/initrd"
  rm -rf "$root"/var/cache/apt "$root"/var/lib/apt/lists
  rm -f "$place/root.img"
  mke2fs -q -t ext4 -d "$root" "$place/root.img" 4G
  rm -rf --one-file-system "$root"
  echo "$made_of" >"$place/made-of"
fi

# The checkout: what git tracks and does not ignore, and what was built, without objects.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
{ git ls-files -z --cached --others --exclude-standard |
    xargs -0 sh -c 'for f; do [ ! -e "$f" ] || printf "%s\0" "$f"; done' _
  find "$build/smrun" "$build/lib" "$build/tests" -type f ! -name '*.d' -print0 2>/dev/null
} | tar -c --null -T - -f "$work/checkout.tar"
mkdir "$work/commands"
printf '%s' "$PWD" >"$work/commands/checkout"
printf '%s' "$build" >"$work/commands/build"
printf '%s' "${AS:-root person}" >"$work/commands/as"
[ $# -gt 0 ] || set -- \
  'for test in build/tests/test_confine*; do "$test" || exit; done' \
  'smrun experiments/xor.lua && smrun eval runs/xor/default && smrun report runs/xor' \
  'smrun --quiet experiments/xor.lua steps=40,60 seed=1..2 --jobs 2' \
  'smrun --quiet --runs stopped experiments/xor.lua steps=3000 &
   until cat stopped/xor/*/metrics.csv >/dev/null 2>&1; do sleep 0.2; done
   kill -TERM $!; wait $!; [ $? = 130 ] && smrun --quiet resume stopped/xor/steps=3000' \
  '[ ! -e tests/fault/hostile.lua ] ||
   SMRUN=$(command -v smrun) lua5.4 tests/fault/hostile.lua --part=10 --seed=1 --slack=60'
n=100
for command in "$@"; do n=$((n + 1)); printf '%s\n' "$command" >"$work/commands/$n"; done
tar -c -C "$work/commands" -f "$work/commands.tar" .
truncate -s 512 "$work/status"

# Emulated even where /dev/kvm is there: within another machine it may be one that cannot run a kernel.
timeout "${LIMIT:-3600}" qemu-system-x86_64 -accel tcg -cpu Nehalem -smp 2 -m 3G -nic none -display none \
  -monitor none -no-reboot -kernel "$place/vmlinuz" -initrd "$place/initrd" \
  -append "root=/dev/vda rw init=/sbin/kernel-guest console=ttyS0 panic=-1 ${APPEND:-}" \
  -drive "file=$place/root.img,format=raw,if=virtio,snapshot=on" \
  -drive "file=$work/checkout.tar,format=raw,if=virtio,snapshot=on" \
  -drive "file=$work/commands.tar,format=raw,if=virtio,snapshot=on" \
  -drive "file=$work/status,format=raw,if=virtio" \
  -serial "file:$place/console.log" -chardev stdio,id=out,signal=on -serial chardev:out \
  </dev/null 2>"$place/qemu.log" || {
  echo "the machine did not end by itself (status $?):" >&2
  tail -n 20 "$place/qemu.log" "$place/console.log" >&2
  exit 1
}
status=$(tr -d '\0' <"$work/status")
[ -n "$status" ] || { echo "the machine ended before the commands:" >&2; tail -n 20 "$place/console.log" >&2; exit 1; }
exit "$status"
