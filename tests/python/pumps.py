"""Programs on the channels of a server of paramiko's."""

import subprocess
import threading


def pump(read, write, end):
    """Everything from the one to the other, then its end."""
    try:
        while data := read():
            write(data)
    except OSError:
        pass
    try:
        end()
    except OSError:
        pass


def thread(work, *arguments):
    started = threading.Thread(target=work, args=arguments, daemon=True)
    started.start()
    return started


def run(channel, argv):
    pipe = subprocess.PIPE
    process = subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True, bufsize=0)

    def wait():
        # Its answer to the request goes first: it is sent when this function's caller returns.
        outputs = [
            thread(pump, lambda: process.stdout.read(65536), channel.sendall, lambda: None),
            thread(pump, lambda: process.stderr.read(65536), channel.sendall_stderr, lambda: None),
        ]
        thread(pump, lambda: channel.recv(65536), process.stdin.write, process.stdin.close)
        for output in outputs:
            output.join()
        status = process.wait()
        try:
            channel.send_exit_status(status if status >= 0 else 255)
            channel.close()
        except OSError:
            pass

    thread(wait)
