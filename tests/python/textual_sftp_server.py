"""An SFTP server for sshd's `Subsystem`: paramiko's, which serves files as its users write it.

What paramiko answers to REALPATH unless a server overrides it (`canonicalize`) is the path with its text tidied: links stay in it.
"""

import os

from paramiko import ServerInterface, SFTPAttributes, SFTPHandle, SFTPServer, SFTPServerInterface


class Pipe:
    """Standard input and output in the place of a channel."""

    def get_transport(self):
        return self

    def get_log_channel(self):
        return "paramiko.transport"

    def get_name(self):
        return "sftp"

    def get_hexdump(self):
        return False

    def recv(self, size):
        return os.read(0, size)

    def send(self, data):
        return os.write(1, data)

    def close(self):
        pass


class Files(SFTPServerInterface):
    """Files by the names that the client gives, read only."""

    def open(self, path, flags, attr):
        try:
            file = open(path, "rb")
        except OSError as error:
            return SFTPServer.convert_errno(error.errno)
        handle = SFTPHandle(flags)
        handle.readfile = file
        return handle

    def list_folder(self, path):
        try:
            entries = []
            for name in os.listdir(path):
                entry = SFTPAttributes.from_stat(os.lstat(os.path.join(path, name)))
                entry.filename = name
                entries.append(entry)
            return entries
        except OSError as error:
            return SFTPServer.convert_errno(error.errno)

    def stat(self, path):
        return self.attributes(os.stat, path)

    def lstat(self, path):
        return self.attributes(os.lstat, path)

    def attributes(self, ask, path):
        try:
            return SFTPAttributes.from_stat(ask(path))
        except OSError as error:
            return SFTPServer.convert_errno(error.errno)


if __name__ == "__main__":
    pipe = Pipe()
    SFTPServer(pipe, "sftp", ServerInterface(), Files).start_subsystem("sftp", pipe, pipe)
