"""paramiko as a server: its SFTP server over this machine's files, commands by the account's shell.

paramiko_server.py HOST_KEY AUTHORIZED_KEYS: says on which port it listens.
"""

import os
import pathlib
import pwd
import socket
import subprocess
import sys
import threading

import paramiko

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "python"))
from textual_sftp_server import Files  # noqa: E402


class Account(paramiko.ServerInterface):
    """Takes the keys of a file, and runs commands."""

    def __init__(self, keys):
        self.keys = keys

    def get_allowed_auths(self, username):
        return "publickey"

    def check_auth_publickey(self, username, key):
        return paramiko.AUTH_SUCCESSFUL if key.get_base64() in self.keys else paramiko.AUTH_FAILED

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED if kind == "session" else paramiko.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_exec_request(self, channel, command):
        threading.Thread(target=run, args=(channel, command), daemon=True).start()
        return True


def run(channel, command):
    shell = pwd.getpwuid(os.getuid()).pw_shell
    pipe = subprocess.PIPE
    child = subprocess.Popen([shell, "-c", command], stdin=pipe, stdout=pipe, stderr=pipe)

    def feed():
        while data := channel.recv(32768):
            child.stdin.write(data)
            child.stdin.flush()
        child.stdin.close()

    def drain(source, send):
        while data := source.read1(32768):
            send(data)

    threading.Thread(target=feed, daemon=True).start()
    errors = threading.Thread(target=drain, args=(child.stderr, channel.sendall_stderr), daemon=True)
    errors.start()
    try:
        drain(child.stdout, channel.sendall)
        errors.join()
        channel.send_exit_status(child.wait() % 256)
    except OSError:
        pass
    channel.close()


def serve(connection, host_key, keys):
    transport = paramiko.Transport(connection)
    transport.add_server_key(host_key)
    transport.set_subsystem_handler("sftp", paramiko.SFTPServer, Files)
    transport.start_server(server=Account(keys), event=threading.Event())
    while transport.is_active():
        channel = transport.accept(1)
        kept.append(channel)


kept = []
host_key = paramiko.Ed25519Key.from_private_key_file(sys.argv[1])
keys = [line.split()[1] for line in open(sys.argv[2]) if line.strip()]
listener = socket.create_server(("127.0.0.1", 0))
print(f"listening on {listener.getsockname()[1]}", flush=True)
while True:
    connection, _ = listener.accept()
    threading.Thread(target=serve, args=(connection, host_key, keys), daemon=True).start()
