#!/usr/bin/env bash
# Twisted Conch 26.10.0: the SFTP server that `twist conch` offers serves no file. Every path, valid ones too, fails with an
# AttributeError: `UnixConchUser.getHomeDir` gives a text, and `SFTPServerForUnixConchUser._absPath` asks for its `path`, as if it were
# a FilePath. OpenSSH's `sftp` cannot even ask where it is. Exits with 1 when a version behaves otherwise.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check 'twisted[conch]==26.10.0'
timeout 60 "$dir/venv/bin/python" - <<'PYTHON'
import getpass
import sys

import twisted
from twisted.conch.unix import SFTPServerForUnixConchUser, UnixConchUser

print("Twisted", twisted.__version__)
server = SFTPServerForUnixConchUser(UnixConchUser(getpass.getuser()))
failed = 0
for what, ask in {
    "REALPATH .": lambda: server.realPath(b"."),
    "LSTAT /": lambda: server.getAttrs(b"/", False),
    "OPENDIR /": lambda: server.openDirectory(b"/"),
}.items():
    try:
        print(what, "gives", ask())
    except AttributeError as error:
        failed += 1
        print(what, "fails:", error)
sys.exit(0 if failed == 3 else 1)
PYTHON
