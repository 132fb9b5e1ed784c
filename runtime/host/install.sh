#!/bin/sh
# install.sh install BUILD: copies what was built to PREFIX below DESTDIR. A relative one counts from this directory.
# install.sh uninstall: removes it. share/smrun/installed lists what was written, directories that were made with a
# slash at their end.
# install.sh rock BUILD: copies it to where LuaRocks takes it from: BINDIR, LUADIR and LIBDIR, which lie in PREFIX.
# Environment: PREFIX, DESTDIR, VERSION, LUA (lua5.4), and for a rock BINDIR, LUADIR, LIBDIR.
set -eu
umask 022
export LC_ALL=C
list=share/smrun/installed

stop() {
  echo "$*" >&2
  exit 1
}

[ -n "$PREFIX" ] || stop "PREFIX: expected a directory, got nothing"
[ "$PREFIX" = / ] || PREFIX=${PREFIX%/}
case $PREFIX in /*) ;; *) PREFIX=$PWD/$PREFIX ;; esac
TARGET=${DESTDIR:-}$PREFIX

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

# place_as MODE FILE NAME: the same, under a name below $TARGET.
place_as() {
  make_directory "${3%/*}"
  install -m "$1" "$2" "$TARGET/$3"
  echo "$3" >>"$written"
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

# place_library LUA MODULES BESIDE: the Lua files go to LUA/sm, modules in C to MODULES/sm, the core to BESIDE.
place_library() {
  place_tree lua "$1" \( -name '*.lua' -o -name '*.js' -o -name '*.css' \)
  place_tree tests/data/mnist_mini "$1/sm/data/mnist_mini"
  place_tree "$build/lib/sm" "$2/sm" -name '*.so'
  place_tree "$build/lib" "$3" -name '*.so' ! -path '*/sm/*'
}

# describe: what pkg-config tells others of this installation.
describe() {
  prefix=$(printf '%s' "$PREFIX" | sed 's/#/\\#/g') # what follows a # is a remark
  cat >"$scratch/smrun.pc" <<END
prefix=$prefix
# where the Lua modules lie, as in package.path and package.cpath
luadir=\${prefix}/share/lua/$lua
cluadir=\${prefix}/lib/lua/$lua
# where libsmrun.so lies, whose interface in C may change with every version
libdir=\${prefix}/lib/smrun

Name: smrun
Description: Lua modules for experiments with neural networks
Version: $VERSION
END
  place 644 "$scratch/smrun.pc" lib/pkgconfig
}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
written=$scratch/written

if [ "$1" = uninstall ]; then
  [ -f "$TARGET/$list" ] || stop "nothing to remove: there is no $TARGET/$list"
  remove "$scratch/list"
  exit
fi

build=$2 lua=${LUA#lua}
if [ "$1" = rock ]; then
  case $PREFIX in */rocks-$lua/*) ;; *) stop "smrun is built for Lua $lua: luarocks --lua-version $lua make …" ;; esac
  modules=${PREFIX%/lib/luarocks/*}/share/lua/$lua/sm # where LuaRocks puts them
  [ ! -h "$modules" ] || stop "$modules is of make install: make uninstall comes before the rock"
  TARGET=
  place 755 "$build/smrun" "$BINDIR"
  place_library "$LUADIR" "$LIBDIR" "$LIBDIR/sm"
  exit
fi

case $TARGET in *[\;?]*) stop "PREFIX: Lua's search paths cannot hold ; or ?, got $TARGET" ;; esac
for name in share/lua/$lua/sm lib/lua/$lua/sm; do
  [ ! -e "$TARGET/$name" ] || [ -h "$TARGET/$name" ] || stop "$TARGET/$name is in the way, and not of smrun's making"
done
# What was written is listed even where something stops it.
trap '[ ! -s "$written" ] || install -m 644 "$written" "$TARGET/$list" 2>/dev/null; rm -rf "$scratch"' EXIT
[ -d "$TARGET" ] || { install -d "$TARGET" && echo / >>"$written"; }
[ ! -f "$TARGET/$list" ] || remove "$scratch/list"
make_directory share/smrun
place 755 "$build/smrun" bin
place_library share/smrun/lua lib/smrun lib/smrun
place_tree library share/smrun/library -name '*.lua'
place 644 docs/smrun.1 share/man/man1
place_as 644 runtime/host/completion/smrun.bash share/bash-completion/completions/smrun
zsh=site-functions
[ "$PREFIX" != /usr ] || zsh=vendor-completions # where Debian's zsh looks for those of packages
place 644 runtime/host/completion/_smrun share/zsh/$zsh
place 644 runtime/host/completion/smrun.fish share/fish/vendor_completions.d
link ../../smrun/lua/sm share/lua/$lua/sm # where Debian's Lua looks for what is in /usr/local and /usr
link ../../smrun/sm lib/lua/$lua/sm
describe

program=$PREFIX/bin/smrun
case $program in *[!A-Za-z0-9_./+-]*) program="'$program'" ;; esac
echo "installed in $PREFIX; run $program"
case $PREFIX in
  /usr | /usr/local) ;;
  *)
    case :$PATH: in
      *:"$PREFIX/bin":*) ;;
      *) printf "For smrun by its name:\n  export PATH='%s':\"\$PATH\"\n" "$PREFIX/bin" ;;
    esac
    echo "For require \"sm\" in plain lua$lua:"
    echo "  export LUA_PATH='$PREFIX/share/lua/$lua/?.lua;$PREFIX/share/lua/$lua/?/init.lua;;'"
    echo "  export LUA_CPATH='$PREFIX/lib/lua/$lua/?.so;;'"
    echo "For pkg-config smrun:"
    echo "  export PKG_CONFIG_PATH='$PREFIX/lib/pkgconfig'"
    ;;
esac
