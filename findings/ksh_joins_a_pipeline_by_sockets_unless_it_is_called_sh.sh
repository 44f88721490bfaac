#!/usr/bin/env bash
# One program, two kinds of pipe, chosen by its name. ksh93u+m 1.0.4 (Debian 12: ksh93u+m 1.0.4-3) joins the stages of a pipeline by pairs of sockets when it is called
# ksh93, and by pipes when it is called sh. In both cases `[ -p ]` says that the input is a pipe. So a script that looks with `[ -p /proc/self/fd/0 ]` before it opens
# that path again (to hold both ends, say) is told yes and then fails under the one name ("No such device or address": a socket cannot be opened by a path), and works
# under the other; and whoever tries a script with `ksh93 script` learns nothing of what `/bin/sh` will do where that is ksh.
# Surprising: the test for a pipe is true of a socket, and what a pipeline is made of depends on argv[0].
#
# Needs Debian 12 with apt. Downloads the package, unpacks it in a directory of its own, and installs nothing.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

timeout 120 apt-get download -qq -o APT::Sandbox::User=root ksh93u+m=1.0.4-3
dpkg-deb -x ./*.deb root
dpkg-deb -f ./*.deb Package Version
program=$(find "$PWD/root" -type f -name ksh93 | head -n 1)
ln -s "$program" ksh93
ln -s "$program" sh

script=': | { [ -p /proc/self/fd/0 ] && echo "-p says yes"; readlink /proc/self/fd/0 | sed "s/:.*//"
(exec 6<>/proc/self/fd/0) 2>/dev/null && echo "opens again" || echo "does not open again"; }'
seen=
for name in ./ksh93 ./sh; do
  told=$(timeout 20 "$name" -c "$script" | paste -sd, -)
  printf '%-8s %s\n' "$name" "$told"
  seen+="$told|"
done

[ "$seen" = '-p says yes,socket,does not open again|-p says yes,pipe,opens again|' ]
