"""How a program in the foreground ends: Ctrl-C, SIGTERM, or SIGHUP when its terminal is closed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from local.givingup import quit_soon

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
CHECK_EVERY_S = 0.2
STANDARD_ERROR = 2
SHOW_CURSOR = "\x1b[?25h"


class Ending:
    """Once it is made, a signal ends the process with one line on standard error, and leaves no child behind.

    The first signal within `wait` lets its caller end cleanly. At any other moment (while things start, while they
    stop) the process gives up what it holds and ends at once, with 128 and the signal's number.
    """

    def __init__(self) -> None:
        self._said = False
        self._waiting = False
        self._stopped = False
        for number in ENDING:
            # nohup has SIGHUP ignored.
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._end)

    def wait(self, announce: Callable[[], None], check: Callable[[], None]) -> None:
        """Call `announce`, then wait for a signal, and call `check` meanwhile; raises what they raise."""
        self._waiting = True
        try:
            announce()
            while not self._stopped:
                check()
                time.sleep(CHECK_EVERY_S)
        finally:
            self._waiting = False

    def _end(self, number: int, _frame: FrameType | None) -> None:
        if self._waiting and not self._stopped:
            self._stopped = True
            self._say("stopping")
            return
        self._say("stopped")
        quit_soon(128 + number)

    def _say(self, line: str) -> None:
        if self._said:
            return
        self._said = True
        # Not by print: the signal may have come while standard error was being written to. The terminal may be gone.
        with suppress(OSError):
            # A progress bar hides the cursor, and a terminal shows Ctrl-C as ^C.
            before = f"{SHOW_CURSOR}\r" if os.isatty(STANDARD_ERROR) else ""
            os.write(STANDARD_ERROR, f"{before}{line}\n".encode())


@contextmanager
def interruptible() -> Iterator[None]:
    """Have Ctrl-C raise KeyboardInterrupt in the block, for a command that says how to go on."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)
