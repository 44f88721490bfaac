#!/usr/bin/env bash
# ps of procps-ng 4.0.2 (Debian 12: procps 2:4.0.2-3, libproc2-0 2:4.0.2-3) reads the whole environment of every process that it shows the command name of:
# `ps -o comm=` opens /proc/PID/environ and reads it, although the name stands in /proc/PID/stat and no environment was asked for. `ps -o stat=` does not.
# Surprising: an account that watches who opens environments (audit rules, strace sweeps) sees a plain `ps` do it, and columns that print no environment cost it.
# Nothing of the environment is printed.
#
# Needs Debian 12 with apt, and may trace its own children. Downloads the three packages, unpacks them in a directory of its own, and installs nothing.
set -euo pipefail

dir=$(mktemp -d)
child=
finish() {
  if [ -n "$child" ]; then kill "$child" 2>/dev/null || true; fi
  rm -rf "$dir"
}
trap finish EXIT
cd "$dir"

for package in procps=2:4.0.2-3 libproc2-0=2:4.0.2-3 strace=6.1-0.1 libunwind8=1.6.2-3; do
  timeout 120 apt-get download -qq -o APT::Sandbox::User=root "$package"
done
for deb in ./*.deb; do dpkg-deb -x "$deb" root; done
libraries=$(find "$PWD/root" -name 'lib*.so.*' -printf '%h\n' | sort -u | paste -sd:)
run() { LD_LIBRARY_PATH=$libraries timeout 20 "$@"; }

run root/bin/ps --version

env -i FINDING=seen-in-the-trace sleep 60 &
child=$!

# How often ps reads the variable while it shows this column, and what it prints.
reads() {
  run root/usr/bin/strace -qq -s 4096 -e trace=openat,read -o trace root/bin/ps -o "$1=" -p "$child" >printed
  grep -c '^read(.*FINDING=seen-in-the-trace' trace || true
}

name=$(reads comm)
printf 'ps -o comm= printed "%s" and read the environment %s time(s)\n' "$(tr -d '\n' <printed)" "$name"
grep -h "/proc/$child/" trace || true
status=$(reads stat)
printf 'ps -o stat= printed "%s" and read the environment %s time(s)\n' "$(tr -d '\n' <printed)" "$status"

if [ "$name" = 0 ] || [ "$status" != 0 ]; then
  echo 'the behaviour has changed' >&2
  exit 1
fi
