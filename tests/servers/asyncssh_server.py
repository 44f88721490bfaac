"""AsyncSSH as a server: its own SFTP server over this machine's files, commands by the account's shell.

asyncssh_server.py HOST_KEY AUTHORIZED_KEYS [no-permissions]: says on which port it listens.
"""

import asyncio
import os
import pwd
import signal
import sys

import asyncssh


class Bare(asyncssh.SFTPServer):
    """Sends no optional attribute, as the draft allows (section 5)."""

    def stat(self, path):
        return bare(super().stat(path))

    def lstat(self, path):
        return bare(super().lstat(path))

    def fstat(self, file_obj):
        return bare(super().fstat(file_obj))

    async def scandir(self, path):
        async for name in super().scandir(path):
            name.attrs = bare(name.attrs)
            name.longname = name.filename
            yield name


def bare(_attrs):
    return asyncssh.SFTPAttrs()


async def pump(reader, writer):
    """Until the reader's end. What comes behind the writer's is for nobody."""
    while data := await reader.read(65536):
        try:
            writer.write(data)
        except OSError:
            pass


async def feed(process, child):
    """Until the channel ends, whichever way: then the command's input does, too."""
    try:
        await pump(process.stdin, child.stdin)
    except (asyncssh.Error, OSError):
        pass
    child.stdin.close()


async def run(process):
    shell = pwd.getpwuid(os.getuid()).pw_shell
    child = await asyncio.create_subprocess_exec(
        shell,
        "-c",
        process.command or "",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    # Not by `process.redirect`: an end of a stream that comes behind the process's ends the whole connection.
    feeding = asyncio.create_task(feed(process, child))
    await asyncio.gather(pump(child.stdout, process.stdout), pump(child.stderr, process.stderr))
    status = await child.wait()
    feeding.cancel()
    if status < 0:
        process.exit_with_signal(signal.Signals(-status).name[3:])
    else:
        process.exit(status)


async def main():
    host_key, authorized_keys, *more = sys.argv[1:]
    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_host_keys=[host_key],
        authorized_client_keys=authorized_keys,
        process_factory=run,
        encoding=None,
        sftp_factory=Bare if "no-permissions" in more else True,
    )
    print(f"listening on {server.get_port()}", flush=True)
    await server.wait_closed()


asyncio.run(main())
