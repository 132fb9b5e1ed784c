#!/bin/sh
# What a newcomer does, and every instruction-set level, in bare Debians: in a fresh chroot of each, a copy of the
# checkout (what git tracks, and what it does not ignore), the README's commands, then the C tests and the numerical
# specs on every level, built with warnings as errors by that Debian's compiler, and the reference.
# Environment: SUITES="bookworm trixie"; DEBIAN_MIRROR, which otherwise is that of this machine's apt.
set -eu
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || { echo "check-debian makes chroots, which takes root" >&2; exit 1; }
command -v debootstrap >/dev/null || {
  echo "check-debian needs debootstrap (Debian's package of that name)" >&2
  exit 1
}
mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' |
  head -n 1)}
[ -n "$mirror" ] || { echo "check-debian: apt knows no mirror of Debian; set DEBIAN_MIRROR" >&2; exit 1; }

# in_chroot DIRECTORY COMMAND: in a name space of its own, so that what is mounted goes with it.
in_chroot() {
  unshare --mount --propagation private sh -euc '
    mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev"
    exec chroot "$1" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root http_proxy="${http_proxy:-}" \
      sh -euc "cd \"/root/a checkout, bare\"; $2"' in_chroot "$1" "$2"
}

failed=
for suite in ${SUITES:-bookworm trixie}; do
  root=$PWD/build/debian/$suite
  printf '\n== %s: a bare system\n' "$suite"
  rm -rf --one-file-system "$root"
  mkdir -p "$root" build/debian/cache
  debootstrap --variant=minbase --include=make,ca-certificates --cache-dir="$PWD/build/debian/cache" "$suite" "$root" \
    "$mirror" >"$root.log" 2>&1 || { tail "$root.log"; failed="$failed $suite (debootstrap)"; continue; }
  mkdir "$root/root/a checkout, bare"
  git ls-files -z --cached --others --exclude-standard |
    xargs -0 sh -c 'for f; do [ -e "$f" ] && printf "%s\0" "$f"; done' _ |
    tar -c --null -T - | tar -x -C "$root/root/a checkout, bare"
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
