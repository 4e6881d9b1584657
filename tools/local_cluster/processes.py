"""Processes: telling them apart for good, ending exactly the one that is meant, and binding their lives."""

import contextlib
import ctypes
import os
import re
import select
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

LIBC, PR_SET_PDEATHSIG = ctypes.CDLL(None), 1


def identity(pid: int) -> dict[str, int | None]:
    """Names a process for good: the kernel may give its pid away again, but not with the same start time."""
    return {"pid": pid, "startTime": start_time(pid)}


def start_time(pid: int) -> int | None:
    """In clock ticks since boot; None when there is no such process, or only its zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def alive(process: dict[str, int | None]) -> bool:
    return start_time(process["pid"]) == process["startTime"] is not None


@contextlib.contextmanager
def pidfd(pid: int) -> Iterator[int | None]:
    """Readable once the process has ended; None when it is gone already."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        yield None
        return
    try:
        yield fd
    finally:
        os.close(fd)


def end(process: dict[str, int | None], how: signal.Signals, seconds: float) -> bool:
    """Signals exactly this process, waits for its end and says whether it came in time."""
    with pidfd(process["pid"]) as fd:  # first held, then compared: from here on its pid cannot be recycled
        if fd is None or not alive(process):
            return True
        signal.pidfd_send_signal(fd, how)
        return bool(select.select([fd], [], [], seconds)[0])


def dies_with_us(how: signal.Signals) -> Callable[[], None]:
    """For Popen's preexec_fn: the kernel signals the child when we die, even by SIGKILL."""
    parent = os.getpid()

    def in_child() -> None:
        LIBC.prctl(PR_SET_PDEATHSIG, how)
        if parent_in_proc() != parent:  # we died before the line above
            os._exit(1)

    return in_child


def parent_in_proc() -> int:
    """Our parent's pid as our parent knows it, also when we are in another PID namespace."""
    return int(re.search(r"^PPid:\s+(\d+)", Path("/proc/self/status").read_text(), re.MULTILINE)[1])


def detach(run: Callable[[], None], keep: set[int]) -> None:
    """Runs something in a process of its own: no terminal, no parent, nothing of ours open but `keep`."""
    if child := os.fork():
        os.waitpid(child, 0)
        return
    try:
        os.setsid()
        if os.fork() == 0:  # not the session's leader, so that no terminal ever becomes its own
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            null = os.open(os.devnull, os.O_RDWR)
            for fd in (0, 1, 2):
                os.dup2(null, fd)
            for fd in map(int, os.listdir("/proc/self/fd")):
                if fd > 2 and fd not in keep:
                    with contextlib.suppress(OSError):  # the listing's own
                        os.close(fd)
            run()
    except BaseException:
        traceback.print_exc(file=sys.stderr)
    finally:
        os._exit(0)
