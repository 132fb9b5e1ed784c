#!/bin/sh
# The tests of confinement on Debian 12's kernel, Linux 6.1, whose Landlock knows neither truncation nor the network, in
# an emulated machine: old_kernel.sh BUILD. Needs qemu-system-x86, cpio and Debian 12's packages.
set -eu
build=$(cd "${1:-build}" && pwd)
for program in qemu-system-x86_64 cpio apt-get; do
  command -v $program >/dev/null || { echo "old_kernel: $program is not there" >&2; exit 1; }
done
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
package=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-6\.1\.\)/\1/p')
[ -n "$package" ] || { echo "old_kernel: apt knows no Linux 6.1" >&2; exit 1; }
apt-get -qq -o APT::Sandbox::User="$(id -un)" download "$package"
dpkg-deb -x ./*.deb kernel

# put FILE…: a file and the libraries that it needs go to the same places of the machine.
put() {
  for file in "$@"; do
    { echo "$file"; ldd "$file" | grep -o '/[^ ]*'; } | while read -r path; do
      mkdir -p "root${path%/*}"
      cp -L "$path" "root$path"
    done
  done
}
mkdir -p root/proc root/sys root/dev root/tmp root/etc root/lib/x86_64-linux-gnu
tests="test_confine test_confine_calls"
mkdir -p root/smrun/tests
cp -r "$build/lib" root/smrun
for test in $tests; do
  cp "$build/tests/$test" root/smrun/tests
  put "$build/tests/$test"
done
put /bin/sh /bin/rm /bin/mount /bin/chmod /bin/uname \
  /usr/lib/x86_64-linux-gnu/libopenblas.so.0
cp -L /usr/lib/x86_64-linux-gnu/libopenblas.so.0 root/lib/x86_64-linux-gnu
cat >root/init <<END
#!/bin/sh
mount -t proc proc /proc && mount -t devtmpfs dev /dev && mount -t tmpfs tmp /tmp && chmod 1777 /tmp
uname -sr
for test in $tests; do
  LD_LIBRARY_PATH=/lib/x86_64-linux-gnu /smrun/tests/\$test 2>&1 && echo "ended well: \$test"
done
echo o >/proc/sysrq-trigger
while :; do :; done
END
echo 'root:x:0:0:::' >root/etc/passwd
chmod +x root/init
(cd root && find . | cpio -o -H newc --quiet | gzip -1) >initial.gz
timeout 300 qemu-system-x86_64 -accel tcg -cpu max -m 2048 -smp 2 -kernel kernel/boot/vmlinuz-* -initrd initial.gz \
  -append "console=ttyS0 quiet panic=-1" -nographic -no-reboot </dev/null >log 2>&1 || true
tr -d '\r' <log | sed -n '/Linux 6\.1/,$p'
[ "$(grep -c '^ended well: ' log)" = 2 ] && ! grep -q SKIPPED log
