"""An SSH server that exchanges keys again when it is told to, with the same host key or with another one.

Usage: swapping_sshd.py HOST_KEY OTHER_HOST_KEY. Says `port N` once it listens on loopback; any public key logs in.
Lines on its standard input, each answered with a line:
  again  every connection exchanges keys again          done | ended
  swap   the same, and from now on with the other key   done | ended
`ended`: a connection did not live through it. Ends with its standard input.
"""

import os
import socket
import sys
import threading

import paramiko

from pumps import pump, run, thread


class Server(paramiko.ServerInterface):
    def __init__(self, transport):
        self.transport = transport
        self.started = {}

    def get_allowed_auths(self, username):
        return "publickey"

    def check_auth_publickey(self, username, key):
        return paramiko.AUTH_SUCCESSFUL

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED if kind == "session" else paramiko.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_direct_tcpip_request(self, chanid, origin, destination):
        # Asked before the channel is there: it is connected once it has been accepted.
        self.started[chanid] = destination
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel, command):
        run(channel, ["/bin/sh", "-c", command])
        return True

    def check_channel_subsystem_request(self, channel, name):
        if name != "sftp":
            return False
        servers = ["/usr/lib/openssh/sftp-server", "/usr/libexec/sftp-server", "/usr/lib/ssh/sftp-server"]
        run(channel, [next(server for server in servers if os.path.exists(server))])
        return True


def connect(channel, destination):
    stream = socket.create_connection(destination)
    thread(pump, lambda: channel.recv(65536), stream.sendall, lambda: stream.shutdown(socket.SHUT_WR))
    thread(pump, lambda: stream.recv(65536), channel.sendall, channel.close)


def serve(stream, key, transports):
    transport = paramiko.Transport(stream)
    transport.add_server_key(key)
    server = Server(transport)
    transport.start_server(server=server, event=threading.Event())
    transports.append(transport)
    channels = []
    while transport.is_active():
        channel = transport.accept(0.2)
        # paramiko closes a channel that nobody holds.
        channels.append(channel)
        if channel is not None and (destination := server.started.pop(channel.chanid, None)):
            connect(channel, destination)


def main():
    key, other = (paramiko.Ed25519Key(filename=name) for name in sys.argv[1:3])
    listener = socket.create_server(("127.0.0.1", 0))
    transports = []

    def accept():
        while True:
            thread(serve, listener.accept()[0], key, transports)

    thread(accept)
    print("port", listener.getsockname()[1], flush=True)
    for line in sys.stdin:
        outcome = "done"
        for transport in [each for each in transports if each.is_active()]:
            if line.strip() == "swap":
                # Of a type, the server has the key that was added last.
                transport.add_server_key(other)
            try:
                # A request that it is just answering would wait for the exchange, and the exchange for its thread.
                transport.global_request("keepalive@openssh.com", wait=True)
                transport.renegotiate_keys()
            except Exception:
                outcome = "ended"
        print(outcome, flush=True)


main()
