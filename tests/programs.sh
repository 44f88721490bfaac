#!/usr/bin/env bash
# Unpacks programs that the sweep of the command policy runs under strace. Usage: tests/programs.sh
#
# They are those whose packages replace a service of the machine when they are installed, or bring one: chronyc, docker, mdadm, ntpq, resolvectl
# and snap.
# Nothing is installed, and none of their daemons runs. They come from where this machine has its own packages from, and load its
# libraries, but for what belongs to one of them alone. Made only when one is missing; remove the directory to have them made anew.
set -euo pipefail
umask 022
tree=$(cd "$(dirname "$0")" && pwd)/.programs
programs=(chronyc docker mdadm ntpq resolvectl snap)

is_complete() {
  for program in "${programs[@]}"; do [ -x "$tree/bin/$program" ] || return 1; done
}
if is_complete; then exit; fi

fail() { printf 'tests/programs.sh: %s\n' "$*" >&2; exit 1; }
for program in apt-get dpkg-deb patchelf; do
  command -v "$program" >/dev/null || fail "$program is missing: sudo apt-get install apt dpkg patchelf"
done
# The interpreter that ntpq names.
[ -x /usr/bin/python3 ] || fail "/usr/bin/python3 is missing: sudo apt-get install python3"

mkdir -p "$tree"
work=$(mktemp -d "$tree/making.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{archives,unpacked,bin,lib}
(cd "$work/archives" && apt-get download -qq -o APT::Sandbox::User="$(id -un)" \
  chrony docker.io mdadm ntpsec python3-ntp snapd systemd-resolved libsystemd-shared) ||
  fail "a package does not come: they are Debian 12's, and apt-get update may help"
for package in "$work"/archives/*.deb; do dpkg-deb --extract "$package" "$work/unpacked"; done

cp "$work"/unpacked/usr/bin/{chronyc,docker,ntpq,resolvectl,snap} "$work/unpacked/sbin/mdadm" "$work/bin/"
# What systemd's programs share has to be of their version, and the machine's own may be of another.
find "$work/unpacked" -name 'libsystemd-shared-*.so' -exec cp {} "$work/lib/" \;
patchelf --force-rpath --set-rpath '$ORIGIN/../lib' "$work/bin/resolvectl"
# Python looks beside the script first, and so does the module for its library.
cp -r "$work/unpacked/usr/lib/python3/dist-packages/ntp" "$work/bin/"
find "$work/unpacked" -name 'libntpc.so.*' -type f -exec cp {} "$work/bin/ntp/libntpc.so" \;

for program in "${programs[@]}"; do
  # A library that is lacking is named here. None of these reads or writes anything else; snap's version asks its daemon.
  question=--version
  [ "$program" != snap ] || question=--help
  PYTHONDONTWRITEBYTECODE=1 "$work/bin/$program" "$question" >"$work/told" 2>&1 || fail "$program does not run: $(cat "$work/told")"
done
rm -rf "$tree/bin" "$tree/lib"
mv "$work/lib" "$work/bin" "$tree/"
