"""Runs one command, and ends it with all that it started as soon as nobody holds the other end of standard input.

It is started by path in a process of its own, with the standard library alone. It prints the command's process id,
then, in JSON, the exit code and the largest memory in KiB (bytes on macOS).
"""

import json
import os
import signal
import subprocess
import sys
import threading


def main() -> None:
    """Run ``leash.py LOG WORD...``, both outputs of the command going to the file LOG."""
    log, *words = sys.argv[1:]
    for number in (signal.SIGINT, signal.SIGHUP):  # these reach the whole group of a terminal; the harness decides
        signal.signal(number, lambda *_: None)
    with open(log, "ab", buffering=0) as out:  # noqa: PTH123 - nothing more than this is imported
        try:
            child = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
            )
        except OSError as error:
            say({"cannot start": f"{words[0]}: {error.strerror}"})
            return
    signal.signal(signal.SIGTERM, lambda *_: end(child.pid))
    say({"process": child.pid})
    threading.Thread(target=end_with_reader, args=(child.pid,), daemon=True).start()
    _, status, usage = os.wait4(child.pid, 0)
    end(child.pid)  # what it started and left behind, such as workers of a loader
    say({"code": os.waitstatus_to_exitcode(status), "memory": usage.ru_maxrss})


def end_with_reader(group: int) -> None:
    """Wait for the end of standard input, then end the command."""
    while os.read(0, 1):
        pass
    end(group)


def end(group: int) -> None:
    """End a process group."""
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def say(what: dict[str, object]) -> None:
    """Print one line of JSON."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


main()
