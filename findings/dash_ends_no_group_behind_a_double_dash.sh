#!/usr/bin/env bash
# The shells that are /bin/sh on Debian and in small containers agree on one way to end a process group, and one of them complains of it.
# dash 0.5.12 (Debian 12: dash 0.5.12-2) refuses `kill -TERM -- -GROUP` ("Illegal number: -", status 2) and ends nothing, though bash, mksh, ksh93, yash and zsh take it and
# POSIX lets `--` end the options of any utility. It takes `kill -s TERM -- -GROUP`. The ash of busybox 1.35.0 (Debian 12: busybox 1:1.35.0-4+deb12u1+b1)
# says "invalid number '--'" to both, with status 1, and ends the group all the same.
# Surprising: a script whose complaints go to /dev/null ends groups under bash and nothing under dash, and a script that believes a status thinks that busybox failed.
#
# Needs Debian 12 with apt, and unshare. Downloads the two packages, unpacks them in a directory of its own, and installs nothing.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

for package in dash=0.5.12-2 busybox=1:1.35.0-4+deb12u1+b1; do
  timeout 120 apt-get download -qq -o APT::Sandbox::User=root "$package"
done
for deb in ./*.deb; do dpkg-deb -x "$deb" root; done
dpkg-deb -f ./dash*.deb Package Version
root/bin/busybox | head -n 1

# Asks a shell to end a group; its status, and whether the group is there afterwards. In a process namespace of its own, whatever a shell makes of it.
cat >ask <<'END'
form=$1
shift
setsid sleep 30 &
group=$!
until [ "$(cut -d' ' -f5 /proc/$group/stat 2>/dev/null)" = "$group" ]; do :; done
GROUP=$group "$@" -c "$form" 2>said && status=0 || status=$?
wait_for=0
while kill -0 "$group" 2>/dev/null && [ "$(cut -d' ' -f3 /proc/$group/stat)" != Z ] && [ $wait_for -lt 20 ]; do wait_for=$((wait_for+1)); sleep 0.05; done
state=ended
if kill -0 "$group" 2>/dev/null && [ "$(cut -d' ' -f3 /proc/$group/stat)" != Z ]; then state=runs; fi
echo "status $status, the group $state"
END
ask() { timeout 20 unshare --pid --fork --mount-proc --kill-child bash ./ask "$@"; }

seen=
for form in 'kill -TERM -- -$GROUP' 'kill -s TERM -- -$GROUP'; do
  for shell in root/bin/dash 'root/bin/busybox sh'; do
    told=$(ask "$form" $shell)
    printf '%-26s in %-22s %s; it said: %s\n' "$form" "$shell:" "$told" "$(cat said)"
    seen+="$told|"
  done
done

[ "$seen" = 'status 2, the group runs|status 1, the group ended|status 0, the group ended|status 1, the group ended|' ]
