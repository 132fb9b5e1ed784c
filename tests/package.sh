#!/bin/sh
# The Debian package in bare Debians: in a fresh chroot of each it is built by an ordinary user with what debian/control
# says that building takes, looked at by lintian, installed, tried by that user (debian/tests/smoke), and purged, after
# which nothing of it is left. The same with a rock: built, tried and removed.
# Environment: SUITES="bookworm trixie"; DEBIAN_MIRROR, which otherwise is that of this machine's apt.
set -eu
check=check-package
. "$(dirname "$0")/chroot.sh"

all_files='find / -xdev \( -path /proc -o -path /dev -o -path /tmp -o -path /var -o -path /home -o -path "/root/*" \) \
  -prune -o -print | LC_ALL=C sort'
as_person='runuser -u person -- env HOME=/home/person'

failed=
for suite in ${SUITES:-bookworm trixie}; do
  bare "$suite" build-essential,ca-certificates || { failed="$failed $suite (debootstrap)"; continue; }
  step() {
    printf '\n== %s: %s\n' "$suite" "$1"
    in_chroot "$root" "$2" </dev/null || { failed="$failed
  $suite: $1"; return 1; }
  }
  step 'what building the package takes' 'apt-get update -qq; apt-get build-dep -qqy --no-install-recommends ./ \
    >/var/log/steps 2>&1 || { tail /var/log/steps; exit 1; }
    useradd --create-home person; cp -r . /home/person/smrun; chown -R person: /home/person' || continue
  step 'dpkg-buildpackage -us -uc' "cd /home/person/smrun; $as_person dpkg-buildpackage -us -uc -j2 \
    >/var/log/steps 2>&1 || { tail -n 40 /var/log/steps; exit 1; }; ls -l ..; dpkg -c ../smrun_*.deb | wc -l
    cd ..; rm -rf again; $as_person dpkg-source -x smrun_*.dsc again >/dev/null
    diff -r --no-dereference \"/root/$checkout\" again" || continue
  step 'lintian' 'apt-get install -qqy --no-install-recommends lintian >/var/log/steps 2>&1; cd /home/person
    runuser -u person -- lintian --fail-on error,warning --info --display-info smrun_*.changes' || true
  step 'install, try, purge' "cd /home/person; $all_files >/tmp/before
    apt-get install -qqy --no-install-recommends ./smrun_*.deb lua5.4 pkgconf man-db >/var/log/steps 2>&1 ||
      { tail /var/log/steps; exit 1; }
    $as_person /home/person/smrun/debian/tests/smoke
    apt-get purge -qqy smrun >/var/log/steps 2>&1; $all_files >/tmp/after
    if comm -13 /tmp/before /tmp/after | grep -E 'smrun|/sm(/|\$)'; then echo 'these are left' >&2; exit 1; fi" || true
  step 'a rock' "apt-get install -qqy --no-install-recommends luarocks lua5.4 lua-filesystem lua-argparse libjs-dygraphs \
      fonts-dejavu-core libopenblas0-pthread >/var/log/steps 2>&1 || { tail /var/log/steps; exit 1; }
    luarocks --lua-version 5.4 make --deps-mode none >/var/log/steps 2>&1 || { tail /var/log/steps; exit 1; }
    cp experiments/xor.lua /home/person; cd /home/person
    $as_person lua5.4 xor.lua steps=500; $as_person /usr/local/bin/smrun xor.lua steps=501
    luarocks --lua-version 5.4 remove smrun; ! find /usr/local -name 'sm' -o -name '*smrun*' | grep ." || true
done
[ -z "$failed" ] || { echo "failed:$failed" >&2; exit 1; }
