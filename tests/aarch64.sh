#!/bin/sh
# The C tests and the numerical specs for aarch64, in qemu's user mode, with Debian's libraries for it in a directory.
# aarch64.sh: exits with 3 and one line on stdout where those cannot be had.
set -eu
cd "$(dirname "$0")/.."
root=build/aarch64-root
packages="libc6-dev liblua5.4-dev lua5.4 libopenblas0-pthread zlib1g-dev libcairo2-dev fonts-dejavu-core lua-cjson
  lua-filesystem lua-busted libcmocka-dev"

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
    { echo "Debian's packages for arm64 cannot be fetched: $(tail -n 1 $root.log)"; exit 3; }
  for package in $root.apt/archives/*.deb; do dpkg-deb -x "$package" $root.new; done
  rm -rf $root.apt
  mv $root.new $root
fi

build=build/aarch64
make --no-print-directory -j"$(nproc)" BUILD=$build CC="aarch64-linux-gnu-gcc --sysroot=$root" WERROR=1 \
  LUA_FLAGS="-isystem $root/usr/include/lua5.4" LUA_LIBS=-llua5.4 \
  CAIRO_FLAGS="-isystem $root/usr/include/cairo" CAIRO_LIBS=-lcairo all c-tests >$build.log 2>&1 || { cat $build.log; exit 1; }
mkdir -p $build/emulated
cat >$build/emulated/smrun <<END
#!/bin/sh
exec qemu-aarch64 -L "$PWD/$root" "$PWD/$build/smrun" "\$@"
END
chmod +x $build/emulated/smrun
EMULATOR="qemu-aarch64 -L $root" LUA=$root/usr/bin/lua5.4 lua5.4 tests/run.lua --numbers $build
