#!/bin/sh
# install.sh install BUILD: copies what was built to $TARGET, the prefix with what goes before it; uninstall: removes it.
# share/smrun/installed lists what was written, directories that were made with a slash at their end.
set -eu
umask 022
export LC_ALL=C
list=share/smrun/installed

# Removes what the list names; directories only when nothing else is in them.
remove() {
  sort -r "$TARGET/$list" >"$1"
  rm -f "$TARGET/$list"
  while IFS= read -r name; do
    case $name in
      */) rmdir "$TARGET/$name" 2>/dev/null || true ;;
      *) rm -f "$TARGET/$name" ;;
    esac
  done <"$1"
}

# place MODE FILE DIRECTORY: a file goes to a directory below $TARGET.
place() {
  make_directory "$3"
  install -m "$1" "$2" "$TARGET/$3"
  echo "$3/${2##*/}" >>"$written"
}

make_directory() {
  [ -d "$TARGET/$1" ] && return
  case $1 in */*) make_directory "${1%/*}" ;; esac
  install -d -m 755 "$TARGET/$1"
  echo "$1/" >>"$written"
}

# link TO NAME: a symbolic link, in place of none or another.
link() {
  make_directory "${2%/*}"
  ln -sfT "$1" "$TARGET/$2"
  echo "$2" >>"$written"
}

# place_tree DIRECTORY TO find's conditions…: the files below a directory go to another.
place_tree() {
  from=$1 to=$2
  shift 2
  find "$from" -type f "$@" | sort >"$scratch/files"
  while IFS= read -r file; do
    folder=${file%/*}
    place 644 "$file" "$to${folder#"$from"}"
  done <"$scratch/files"
}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
written=$scratch/written

if [ "$1" = uninstall ]; then
  [ -f "$TARGET/$list" ] || { echo "nothing to remove: there is no $TARGET/$list" >&2; exit 1; }
  remove "$scratch/list"
  exit
fi

case $TARGET in *[\;?]*) echo "PREFIX: Lua's search paths cannot hold ; or ?, got $TARGET" >&2; exit 1 ;; esac
for name in share/lua/5.4/sm lib/lua/5.4/sm; do
  [ ! -e "$TARGET/$name" ] || [ -h "$TARGET/$name" ] || { echo "$TARGET/$name is in the way, and not of smrun's making" >&2; exit 1; }
done
build=$2
# What was written is listed even where something stops it.
trap '[ ! -s "$written" ] || install -m 644 "$written" "$TARGET/$list" 2>/dev/null; rm -rf "$scratch"' EXIT
[ -d "$TARGET" ] || { install -d "$TARGET" && echo / >>"$written"; }
[ ! -f "$TARGET/$list" ] || remove "$scratch/list"
make_directory share/smrun
place 755 "$build/smrun" bin
place_tree "$build/lib" lib/smrun -name '*.so'
place_tree lua share/smrun/lua \( -name '*.lua' -o -name '*.js' -o -name '*.css' \)
place_tree tests/data/mnist_mini share/smrun/mnist_mini
place 644 docs/smrun.1 share/man/man1
link ../../smrun/lua/sm share/lua/5.4/sm # where Debian's lua5.4 looks for what is in /usr/local and /usr
link ../../smrun/sm lib/lua/5.4/sm

echo "installed in $INSTALLED_PREFIX; run $INSTALLED_PREFIX/bin/smrun"
case $INSTALLED_PREFIX in
  /usr | /usr/local) ;;
  *)
    echo "For require \"sm\" in plain lua5.4:"
    echo "  export LUA_PATH='$INSTALLED_PREFIX/share/lua/5.4/?.lua;$INSTALLED_PREFIX/share/lua/5.4/?/init.lua;;'"
    echo "  export LUA_CPATH='$INSTALLED_PREFIX/lib/lua/5.4/?.so;;'"
    ;;
esac
