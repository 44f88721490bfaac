#!/usr/bin/env bash
# OpenSSH's sftp-server 9.2p1 (Debian 12: openssh-sftp-server 1:9.2p1-2+deb12u10) has a queue for its output, and writes each answer by itself all the same: of sixteen requests
# that reach it in one read it works on one, writes its answer, and only then looks at the next.
# Surprising: a client that sends many small requests together expects their answers together, as a server with an output queue would send them. Here each is a write, a
# wake-up of sshd and often an SSH packet of its own, so that a request that was sent "for free" beside others, and is answered with an error of thirty bytes, is not free:
# what a flight costs grows with the number of its requests and hardly with their size.
#
# Needs Debian 12 with apt, and python3. Downloads the package, unpacks it in a directory of its own, and installs nothing. The server's output is a socket that
# keeps the borders of writes (SOCK_SEQPACKET), so that each write is counted.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

timeout 120 apt-get download -qq -o APT::Sandbox::User=root openssh-sftp-server=1:9.2p1-2+deb12u10
for deb in ./*.deb; do dpkg-deb -x "$deb" root; done
dpkg-deb -f ./*.deb Package Version

timeout 60 python3 - root/usr/lib/openssh/sftp-server <<'END'
import socket, struct, subprocess, sys

REQUESTS = 16
ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
ours.settimeout(10)
server = subprocess.Popen([sys.argv[1]], stdin=subprocess.PIPE, stdout=theirs.fileno())
theirs.close()

def packet(kind, body):
    return struct.pack(">IB", 1 + len(body), kind) + body

def string(text):
    return struct.pack(">I", len(text)) + text

INIT, REALPATH = 1, 16
server.stdin.write(packet(INIT, struct.pack(">I", 3)))
server.stdin.flush()
greeting = ours.recv(1 << 16)
# One write, far below the size of a pipe: one read takes it.
server.stdin.write(b"".join(packet(REALPATH, struct.pack(">I", number) + string(b"/")) for number in range(REQUESTS)))
server.stdin.flush()

writes, answered = [], 0
while answered < REQUESTS:
    written = ours.recv(1 << 16)
    writes.append(len(written))
    while written:
        (length,) = struct.unpack_from(">I", written)
        written = written[4 + length:]
        answered += 1
server.stdin.close()
server.wait(10)
print(f"{REQUESTS} requests in one write; their answers came in {len(writes)} writes of {sorted(set(writes))} bytes")
sys.exit(len(writes) != REQUESTS)
END
