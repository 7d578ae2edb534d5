"""A system in the foreground: it says when it is ready, and stays until a signal ends it."""

from __future__ import annotations

import json
import logging
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn, TextIO

from local.serve import System

logger = logging.getLogger(__name__)

CHECK_EVERY_S = 0.5


class _Stopped(Exception):
    """A signal asked for the end."""


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """End the block, cleanly, at SIGTERM or Ctrl-C; a second Ctrl-C does not wait for the clean-up."""

    def stop(_signal: int, _frame: FrameType | None) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        logger.info("stopping")
        raise _Stopped

    former = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    except _Stopped:
        pass
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def announce(system: System, output: TextIO) -> None:
    """Print the one line that says everything is ready."""
    print(json.dumps(system.describe()), file=output, flush=True)


def stay(system: System) -> NoReturn:
    """Wait for a signal; raise `MiniStackFailed` if the emulated AWS ends by itself."""
    while True:
        system.check()
        time.sleep(CHECK_EVERY_S)
