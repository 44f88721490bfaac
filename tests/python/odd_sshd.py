"""An SSH server that says what sshd does not, in the bytes of Latin-1, and lets in by doors that sshd seldom has.

Usage: odd_sshd.py HOST_KEY WAY. Says `port N` once it listens on loopback, then a line for each thing that it is asked.
Ends with its standard input. Ways:
  banner    a banner, then any public key logs in
  refuses   a banner in two pieces, and no public key is taken
  ends      the connection ends with words at the first public key
  prompts   a question, whose answer is right if it is `right`
  push      a public key, then keyboard-interactive that asks nothing
  none      whoever asks is let in
  gssapi    a method that hardly anybody has
  complains any public key logs in, and programs end with a complaint
  early     the same, and the complaint comes before the answer to the request
  closed    any public key logs in, and no channel is opened
"""

import socket
import sys
import threading

import paramiko
from paramiko.common import cMSG_CHANNEL_OPEN_FAILURE, cMSG_DISCONNECT, cMSG_USERAUTH_BANNER, MSG_CHANNEL_OPEN

from pumps import run

KEY, WAY = sys.argv[1:3]
WORDS = "Zutritt für Unbefugte verboten: Büro Zürich".encode("latin-1")

COMPLAINT = "printf 'rbash: eingeschr\\344nkt\\n' >&2; exit 126"


def say(what):
    print(what, flush=True)


class Server(paramiko.ServerInterface):
    def __init__(self, transport):
        self.transport = transport
        self.methods = {"prompts": "keyboard-interactive", "gssapi": "gssapi-keyex"}.get(WAY, "publickey")

    def get_banner(self):
        return (WORDS + b"\r\n", "de") if WAY in ("banner", "refuses") else (None, None)

    def get_allowed_auths(self, username):
        return self.methods

    def check_auth_none(self, username):
        say("none")
        if WAY == "refuses":
            banner = paramiko.Message()
            banner.add_byte(cMSG_USERAUTH_BANNER)
            banner.add_string(b"Fragen Sie 12345.\r\n")
            banner.add_string("de")
            self.transport._send_message(banner)
        return paramiko.AUTH_SUCCESSFUL if WAY == "none" else paramiko.AUTH_FAILED

    def check_auth_publickey(self, username, key):
        say("publickey")
        if WAY == "ends":
            message = paramiko.Message()
            message.add_byte(cMSG_DISCONNECT)
            # A reason of its own, and no language.
            message.add_int(4711)
            message.add_string(WORDS)
            self.transport._send_message(message)
            self.transport.close()
        if WAY == "push":
            self.methods = "keyboard-interactive"
            return paramiko.AUTH_PARTIALLY_SUCCESSFUL
        return paramiko.AUTH_SUCCESSFUL if WAY in ("banner", "closed", "complains", "early") else paramiko.AUTH_FAILED

    def check_auth_interactive(self, username, submethods):
        say("keyboard-interactive")
        if WAY == "push":
            return paramiko.InteractiveQuery("Approve", "on your telephone")
        return paramiko.InteractiveQuery(WORDS, WORDS, ("Schlüssel?".encode("latin-1"), False))

    def check_auth_interactive_response(self, responses):
        say("answers " + ",".join(responses))
        is_right = WAY == "push" or responses == ["right"]
        return paramiko.AUTH_SUCCESSFUL if is_right else paramiko.AUTH_FAILED

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel, command):
        run(channel, ["/bin/sh", "-c", COMPLAINT if WAY in ("complains", "early") else command])
        return True

    def check_channel_subsystem_request(self, channel, name):
        if WAY == "early":
            channel.sendall_stderr("rbash: eingeschränkt\n".encode("latin-1"))
            run(channel, ["/bin/sh", "-c", "exit 126"])
        else:
            run(channel, ["/bin/sh", "-c", COMPLAINT])
        return True


class Transport(paramiko.Transport):
    def __init__(self, stream):
        super().__init__(stream)
        if WAY == "closed":
            self._handler_table[MSG_CHANNEL_OPEN] = self.refuse

    def refuse(self, message):
        message.get_text()
        answer = paramiko.Message()
        answer.add_byte(cMSG_CHANNEL_OPEN_FAILURE)
        answer.add_int(message.get_int())
        answer.add_int(1)
        answer.add_string(WORDS)
        answer.add_string("de")
        self._send_message(answer)


def serve(stream):
    transport = Transport(stream)
    transport.add_server_key(paramiko.Ed25519Key(filename=KEY))
    transport.start_server(server=Server(transport), event=threading.Event())
    # paramiko closes a channel that nobody holds.
    channels = []
    while transport.is_alive():
        channels.append(transport.accept(0.2))


def main():
    listener = socket.create_server(("127.0.0.1", 0))

    def accept():
        while True:
            threading.Thread(target=serve, args=[listener.accept()[0]], daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    say(f"port {listener.getsockname()[1]}")
    sys.stdin.read()


main()
