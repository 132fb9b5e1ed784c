"""terminal.py SECONDS LOG WAIT SEND [WAIT SEND]… -- COMMAND…

Runs a command on a terminal of its own, as a person would: waits for each text, then types what belongs to it. Writes all
that the terminal has shown to the file LOG, and ends with the command's exit code; with 99 where a text does not come in
time. Each text is looked for behind the one before. Needs no module but what Python itself is made of."""
import os
import signal
import sys

words = [os.fsencode(word) for word in sys.argv[1:]]
split = words.index(b"--")
seconds, log, steps, command = int(words[0]), words[1], words[2:split], words[split + 1:]

process, terminal = os.forkpty()
if process == 0:
    os.execvp(command[0], command)

shown = b""


def late(*_):
    wanted = steps[at] if at < len(steps) else b"the end"
    sys.stderr.write("terminal.py: no %r after %r\n" % (wanted, shown[-600:]))
    os.kill(process, signal.SIGKILL)
    os._exit(99)


def read():
    global shown
    try:
        piece = os.read(terminal, 1 << 16)
    except OSError:  # as Linux tells the end of a terminal
        piece = b""
    shown += piece
    with open(log, "wb") as file:
        file.write(shown)
    return piece != b""


at = 0
signal.signal(signal.SIGALRM, late)
signal.alarm(seconds)
seen = 0
while at < len(steps):
    found = shown.find(steps[at], seen)
    if found < 0:
        if not read():
            late()
        continue
    seen = found + len(steps[at])
    os.write(terminal, steps[at + 1])
    at += 2
while read():
    pass
sys.exit(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) & 0xFF)
