#!/bin/sh
# install.sh PURPOSE…: installs the packages of packages.txt that serve a purpose (run, test, check) and are missing.
# Says nothing when none is. Without the rights to install, prints the command to run and fails.
set -eu
list=$(dirname "$0")/packages.txt
missing=
for purpose in "$@"; do
  for package in $(sed -n "s/^\([^# ]*\) *$purpose\$/\1/p" "$list"); do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing="$missing $package"
  done
done
[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null 2>&1; then
  printf 'This system has no apt-get. Install what Debian calls:%s\n' "$missing" >&2
  exit 1
fi

install="apt-get install -y --no-install-recommends$missing"
if [ "$(id -u)" = 0 ]; then
  as_root=
elif command -v sudo >/dev/null 2>&1 && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
  as_root="sudo "
else
  printf 'Packages are missing and this user may not install them. As root, run:\n  apt-get update && %s\n' "$install" >&2
  exit 1
fi
echo "Installing:$missing"
export DEBIAN_FRONTEND=noninteractive
${as_root}apt-get update -qq
${as_root}$install
