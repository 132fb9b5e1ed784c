#!/bin/sh
# The C tests and the specs of single operations for aarch64, in qemu's user mode, with Debian's libraries for it in a
# directory. aarch64.sh NOT_RUN: a line of what cannot run is added to that file.
set -eu
not_run=$1
cd "$(dirname "$0")/.."
root=build/aarch64-root
packages="libc6-dev liblua5.4-dev lua5.4 libopenblas0-pthread zlib1g-dev libpng-dev libcairo2-dev fonts-dejavu-core lua-cjson
  libseccomp-dev libedit-dev libsqlite3-dev lua-filesystem lua-busted libcmocka-dev"

# An apt of its own, so that the system's knows nothing of another architecture. It reads the system's sources.
apt() {
  apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State="$PWD/$root.apt" \
    -o Dir::State::status="$PWD/$root.apt/status" -o Dir::Cache="$PWD/$root.apt" -o APT::Sandbox::User="$(id -un)" "$@"
}

if [ ! -d $root ]; then
  rm -rf $root.apt $root.new
  mkdir -p $root.apt/lists/partial $root.apt/archives/partial $root.new
  : >$root.apt/status
  { apt update && apt install -y --no-install-recommends --download-only $packages; } >$root.log 2>&1 ||
    { echo "aarch64: Debian's packages for it cannot be fetched: $(tail -n 1 $root.log)" | tee -a "$not_run"; exit; }
  for package in $root.apt/archives/*.deb; do dpkg-deb -x "$package" $root.new; done
  rm -rf $root.apt
  mv $root.new $root
fi

build=build/aarch64
make --no-print-directory -j"$(nproc)" BUILD=$build CC="aarch64-linux-gnu-gcc --sysroot=$root" WERROR=1 \
  LUA_FLAGS="-isystem $root/usr/include/lua5.4" LUA_LIBS=-llua5.4 \
  CAIRO_FLAGS="-isystem $root/usr/include/cairo" CAIRO_LIBS=-lcairo \
  PNG_FLAGS="-isystem $root/usr/include/libpng16" PNG_LIBS=-lpng16 SECCOMP_FLAGS= SECCOMP_LIBS=-lseccomp \
  EDIT_FLAGS="-isystem $root/usr/include/editline" EDIT_LIBS=-ledit SQLITE_FLAGS= SQLITE_LIBS=-lsqlite3 all c-tests >$build.log 2>&1 || {
  cat $build.log
  exit 1
}
mkdir -p $build/emulated
cat >$build/emulated/smrun <<END
#!/bin/sh
exec qemu-aarch64 -L "$PWD/$root" "$PWD/$build/smrun" "\$@"
END
chmod +x $build/emulated/smrun
echo "aarch64: the largest products and convolutions, and specs that train: they take an emulator too long" >>"$not_run"
echo "aarch64: confinement, which the emulator does not have" >>"$not_run"
EMULATED=1 EMULATOR="qemu-aarch64 -L $root" LUA=$root/usr/bin/lua5.4 lua5.4 tests/run.lua $build
