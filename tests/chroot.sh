# What the checks in bare Debians share; they source this file. It goes to the checkout, and sets:
#   mirror                     DEBIAN_MIRROR, or that of this machine's apt
#   checkout                   the name of the checkout's copy in a system: /root/$checkout
#   bare SUITE PACKAGES        a fresh system in build/debian/SUITE, with packages (a,b); fails where there is none
#   copy_checkout DIRECTORY    what git tracks, and what it does not ignore, to a directory
#   in_chroot ROOT COMMAND     a command in that system, in the copy of the checkout
# A program says what it is called by `check`.
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || { echo "$check makes chroots, which takes root" >&2; exit 1; }
command -v debootstrap >/dev/null || {
  echo "$check needs debootstrap (Debian's package of that name)" >&2
  exit 1
}
mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' |
  head -n 1)}
[ -n "$mirror" ] || { echo "$check: apt knows no mirror of Debian; set DEBIAN_MIRROR" >&2; exit 1; }
checkout="a checkout, bare"

bare() {
  root=$PWD/build/debian/$1
  printf '\n== %s: a bare system\n' "$1"
  rm -rf --one-file-system "$root"
  mkdir -p "$root" build/debian/cache
  debootstrap --variant=minbase --include="$2" --cache-dir="$PWD/build/debian/cache" "$1" "$root" "$mirror" \
    >"$root.log" 2>&1 || { tail "$root.log"; return 1; }
  mkdir "$root/root/$checkout"
  copy_checkout "$root/root/$checkout"
}

copy_checkout() {
  git ls-files -z --cached --others --exclude-standard |
    xargs -0 sh -c 'for f; do [ -e "$f" ] && printf "%s\0" "$f"; done' _ |
    tar -c --null -T - | tar -x -C "$1"
}

# In a name space of its own, so that what is mounted goes with it.
in_chroot() {
  unshare --mount --propagation private sh -euc '
    mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev"
    exec chroot "$1" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
      DEBIAN_FRONTEND=noninteractive http_proxy="${http_proxy:-}" sh -euc "cd \"/root/$3\"; $2"' \
    in_chroot "$1" "$2" "$checkout"
}
