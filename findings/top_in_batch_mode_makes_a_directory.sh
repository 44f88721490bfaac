#!/usr/bin/env bash
# top of procps-ng 4.0.2 (Debian 12: procps 2:4.0.2-3, libproc2-0 2:4.0.2-3) makes directories in the home of whoever runs it, in batch mode too: `top -b -n 1`
# prints once, saves nothing, and leaves an empty ~/.config/procps behind where there was none. ps, free, vmstat and uptime of the same version do not.
# Surprising: batch mode is what scripts and monitoring use to look at a machine, and a look that is thought to change nothing changes a home directory.
# With XDG_CONFIG_HOME set to what is no directory, nothing is made.
#
# Needs Debian 12 with apt. Downloads the two packages, unpacks them in a directory of its own, and installs nothing.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

for package in procps=2:4.0.2-3 libproc2-0=2:4.0.2-3; do
  timeout 120 apt-get download -qq -o APT::Sandbox::User=root "$package"
done
for deb in ./*.deb; do dpkg-deb -x "$deb" root; done
libraries=$(find "$PWD/root" -name 'lib*.so.*' -printf '%h\n' | sort -u | paste -sd:)

# Runs a program with an empty home, and perhaps a variable more; what is in that home afterwards.
made() {
  local home=$dir/home variable=$1
  shift
  rm -rf "$home" && mkdir "$home"
  env -i HOME="$home" TERM=dumb LD_LIBRARY_PATH="$libraries" $variable timeout 20 "$@" >/dev/null
  (cd "$home" && find . -mindepth 1 | sort | paste -sd' ')
}

LD_LIBRARY_PATH=$libraries root/usr/bin/top --version
top=$(made '' root/usr/bin/top -b -n 1)
elsewhere=$(made XDG_CONFIG_HOME=/dev/null root/usr/bin/top -b -n 1)
others=$(made '' root/bin/ps aux)$(made '' root/usr/bin/free)$(made '' root/usr/bin/vmstat)$(made '' root/usr/bin/uptime)
printf 'top -b -n 1 made "%s"; with XDG_CONFIG_HOME=/dev/null "%s"; ps, free, vmstat, uptime made "%s"\n' "$top" "$elsewhere" "$others"

[ "$top" = './.config ./.config/procps' ] && [ -z "$elsewhere" ] && [ -z "$others" ]
