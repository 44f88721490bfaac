#!/usr/bin/env bash
# sshd of OpenSSH 9.2p1 (Debian 12: openssh-server 1:9.2p1-2+deb12u10; 10.0p2 does the same) ends the connection when a client answers
# a question of keyboard-interactive with no answer at all, and says nothing. Seen with the client of paramiko 5.1.0.
# Surprising: RFC 4256 §3.4 demands the opposite: "If the num-responses field does not match the num-prompts field in the request
# message, the server MUST send a failure message." A client that counts on it loses the connection, and with it every method that
# would have come next (the password here). One wrong answer, for comparison, is answered with that failure, and the login goes on.
#
# Needs Debian 12 as root, for PAM asks the question; installs openssh-server if that version is not there. Listens on loopback only.
set -euo pipefail

dir=$(mktemp -d)
server=
finish() {
  if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; fi
  rm -rf "$dir"
}
trap finish EXIT
cd "$dir"

version=1:9.2p1-2+deb12u10
if [ "$(dpkg-query -W -f '${Version}' openssh-server 2>/dev/null || true)" != "$version" ]; then
  timeout 300 apt-get install -y -qq --no-install-recommends "openssh-server=$version" >/dev/null
fi
python3 -m venv venv
timeout 300 venv/bin/pip install --quiet --disable-pip-version-check paramiko==5.1.0
dpkg-query -W openssh-server
venv/bin/pip freeze | grep -i '^paramiko='

ssh-keygen -q -t ed25519 -N '' -f host_key
port=$(venv/bin/python -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >sshd_config <<END
ListenAddress 127.0.0.1:$port
HostKey $dir/host_key
AuthorizedKeysFile none
PidFile none
UsePAM yes
PasswordAuthentication yes
KbdInteractiveAuthentication yes
LogLevel VERBOSE
END
mkdir -p /run/sshd
/usr/sbin/sshd -D -e -f "$dir/sshd_config" 2>log &
server=$!
timeout 20 sh -c 'until grep -q "Server listening" log; do kill -0 "$1"; sleep 0.1; done' sh "$server"

cat >client.py <<'END'
import socket, sys
import paramiko

def login(answers):
    transport = paramiko.Transport(socket.create_connection(("127.0.0.1", int(sys.argv[1])), 20))
    transport.start_client(timeout=20)
    asked = []

    def handler(title, instructions, prompts):
        asked.extend(prompt for prompt, _ in prompts)
        return answers

    try:
        transport.auth_interactive("root", handler)
    except paramiko.SSHException as error:
        print(f"asked {asked}, answered {answers}: {type(error).__name__}; connected: {transport.is_active()}")
    return transport.is_active()

too_few, wrong = login([]), login(["not the password"])
sys.exit(0 if wrong and not too_few else 1)
END
changed=0
timeout 60 venv/bin/python client.py "$port" || changed=1
grep 'wrong number of replies' log || changed=1
if [ "$changed" = 1 ]; then
  echo 'the behaviour has changed' >&2
  exit 1
fi
