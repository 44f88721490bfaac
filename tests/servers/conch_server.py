"""Twisted Conch as a server, as `twist conch` builds it, with keys of its own.

conch_server.py HOST_KEY AUTHORIZED_KEYS [as-it-is]: says on which port it listens. As it is (26.10.0), its SFTP server fails
every path with an AttributeError: what `getHomeDir` gives is a text, and its `path` is asked for.
"""

import getpass
import os
import sys

from twisted.conch.checkers import InMemorySSHKeyDB, SSHPublicKeyChecker
from twisted.conch.ssh.factory import SSHFactory
from twisted.conch.ssh.keys import Key
from twisted.conch.unix import SFTPServerForUnixConchUser, UnixSSHRealm
from twisted.cred.portal import Portal
from twisted.internet import reactor

host_key = Key.fromFile(sys.argv[1])
keys = [Key.fromString(line) for line in open(sys.argv[2], "rb") if line.strip()]


class Factory(SSHFactory):
    publicKeys = {host_key.sshType(): host_key.public()}
    privateKeys = {host_key.sshType(): host_key}
    primes = {}


if "as-it-is" not in sys.argv[3:]:

    def absolute(self, path):
        return os.path.join(self.avatar.getHomeDir(), os.fsdecode(path))

    SFTPServerForUnixConchUser._absPath = absolute

factory = Factory()
checker = SSHPublicKeyChecker(InMemorySSHKeyDB({getpass.getuser().encode(): keys}))
factory.portal = Portal(UnixSSHRealm(), [checker])
port = reactor.listenTCP(0, factory, interface="127.0.0.1")
print(f"listening on {port.getHost().port}", flush=True)
reactor.run()
