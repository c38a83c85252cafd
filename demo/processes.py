"""Running other programs so that none is left behind.

Owns: every process that the demo starts, each in a process group of its own, and how long steps show that they are alive.
Never: ends a process that it did not start; one found in a record is checked by its start time first.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

STOP_SECONDS = 10


class Failed(Exception):
    """A step did not work; the message is for the person at the terminal, `logs` are files whose end tells more."""

    def __init__(self, reason, logs=()):
        super().__init__(reason)
        self.logs = list(logs)


class Processes:
    """Runs commands to their end, and holds the ones in the background. `stop()` ends what is still there, newest first."""

    def __init__(self):
        self._background = []

    def start(self, command, log):
        """Starts `command` in the background, its output in the file `log`; returns the Popen."""
        with open(log, "wb") as out:
            process = _open(command, stdout=out, stderr=subprocess.STDOUT)
        self._background.append(process)
        return process

    def run(self, command, what, **options):
        """Runs `command` with its output on the terminal; raises Failed when it does not end with 0."""
        process = _open(command, **options)
        try:
            code = process.wait()
        finally:
            end_group(process)
        if code != 0:
            raise Failed(f"{what} failed ({_ending(code)}); its output is above")

    def run_quietly(self, command, what, log):
        """Runs `command` with its messages in `log` and a moving clock on the terminal; returns its stdout."""
        clock = Clock()
        with open(log, "wb") as messages:
            process = _open(command, stdout=subprocess.PIPE, stderr=messages)
            try:
                while True:
                    try:
                        output = process.communicate(timeout=1)[0]
                        break
                    except subprocess.TimeoutExpired:
                        clock.tick()
            finally:
                clock.clear()
                end_group(process)
            messages.write(output)
        if process.returncode != 0:
            raise Failed(f"{what} failed ({_ending(process.returncode)})", [log])
        return output.decode(errors="replace")

    def release(self):
        """Leaves the ones in the background running when this run ends."""
        self._background.clear()

    def stop(self):
        while self._background:
            end_group(self._background.pop())


class Clock:
    """Shows on the terminal that a quiet step is alive: a moving count of seconds, or a line now and then in a file."""

    def __init__(self):
        self._start = self._said = time.monotonic()

    def tick(self, now_doing="working"):
        seconds = int(time.monotonic() - self._start)
        if sys.stdout.isatty():
            print(f"\r    {now_doing} … {seconds} s", end="", flush=True)
        elif time.monotonic() - self._said >= 15:
            self._said = time.monotonic()
            print(f"    {now_doing} … {seconds} s", flush=True)

    def clear(self):
        if sys.stdout.isatty():
            print("\r" + " " * 40 + "\r", end="", flush=True)


def end_group(process):
    """Ends a child and what it started, if they are still there: asked first, then forced."""
    if process.poll() is not None:
        return
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
            process.wait(timeout=STOP_SECONDS)
            return
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def record(path, pid):
    """Writes down who `pid` is, so that a later run can end that very process."""
    path.write_text(json.dumps({"pid": pid, "started": start_time(pid)}) + "\n")


def recorded(path):
    """The pid that `path` records, if that very process is still there, else None."""
    try:
        entry = json.loads(path.read_text())
        pid, started = int(entry["pid"]), entry["started"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return pid if started is not None and start_time(pid) == started else None


def end_recorded(path):
    """Ends the process that `path` records, if it is still that one; True if there was one to end."""
    found = recorded(path) is not None
    for sign in (signal.SIGTERM, signal.SIGKILL):
        pid = recorded(path)
        if pid is None:
            break
        os.kill(pid, sign)
        deadline = time.monotonic() + STOP_SECONDS
        while recorded(path) is not None and time.monotonic() < deadline:
            time.sleep(0.05)
    path.unlink(missing_ok=True)
    return found


def start_time(pid):
    """When `pid` started, in the kernel's ticks since boot; None if there is no such process, or only its corpse."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


def _open(command, **options):
    return subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, start_new_session=True, **options)


def _ending(code):
    return f"exit code {code}" if code >= 0 else f"ended by {signal.Signals(-code).name}"
