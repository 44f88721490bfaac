#!/usr/bin/env bash
# A configuration that sshd's own test takes and sshd does not start with. OpenSSH's sshd 9.2p1 (Debian 12: 1:9.2p1-2+deb12u10) listens on sixteen sockets at most: a seventeenth
# ListenAddress ends it at its start with "Too many listen sockets. Enlarge MAX_LISTEN_SOCKS", a constant of its source, and then nobody listens on the first sixteen either.
# `sshd -t` reads the same file and finds nothing, and sshd itself, started as a daemon, exits with 0 as well: it goes to the background before it listens. So the usual "sshd -t && restart" takes a host with many addresses off the network.
# Surprising: there is such a bound at all, no manual page names it, and the test for "is this file valid" says yes.
#
# Needs Debian 12 with apt, and to be root (sshd separates its privileges). Downloads the packages, unpacks them in a directory of its own, and installs nothing.
set -euo pipefail

dir=$(mktemp -d)
trap 'for file in "$dir"/pid.*; do [ -s "$file" ] && kill "$(cat "$file")" 2>/dev/null; done; rm -rf "$dir"' EXIT
cd "$dir"

version=1:9.2p1-2+deb12u10
timeout 120 apt-get download -qq -o APT::Sandbox::User=root openssh-server=$version openssh-client=$version
for package in ./*.deb; do
  dpkg-deb -x "$package" root
  dpkg-deb -f "$package" Package Version
done
sshd=$PWD/root/usr/sbin/sshd
root/usr/bin/ssh-keygen -q -t ed25519 -N '' -f key
mkdir -p /run/sshd

# A port that nobody has on any of these addresses a moment before.
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("0.0.0.0", 0)); print(s.getsockname()[1])')
seen=
for count in 16 17; do
  {
    printf 'Port %s\nHostKey %s/key\nPidFile %s/pid.%s\nStrictModes no\n' "$port" "$dir" "$dir" "$count"
    for number in $(seq "$count"); do echo "ListenAddress 127.0.0.$number"; done
  } >"config.$count"
  tested=0
  "$sshd" -t -f "$PWD/config.$count" || tested=$?
  started=0
  timeout 20 "$sshd" -f "$PWD/config.$count" -E "$PWD/log.$count" || started=$?
  # It has gone to the background before it listens; the file of its pid comes behind that.
  for _ in $(seq 100); do
    [ -s "pid.$count" ] && break
    grep -q 'Too many listen sockets' "log.$count" && break
    sleep 0.1
  done
  listening=$(ss -Htln "sport = :$port" | wc -l)
  said=$(grep -o 'Too many listen sockets' "log.$count" || true)
  printf '%s addresses: sshd -t exits with %s, sshd with %s, %s listen; %s\n' "$count" "$tested" "$started" "$listening" "${said:-nothing said}"
  seen+="$count $tested $started $listening $said|"
  if [ -s "pid.$count" ]; then
    kill "$(cat "pid.$count")"
    for _ in $(seq 100); do [ -e "pid.$count" ] || break; sleep 0.1; done
  fi
done

[ "$seen" = '16 0 0 16 |17 0 0 0 Too many listen sockets|' ]
