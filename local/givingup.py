"""What must not outlive the process: child processes and files, given up at once where nobody waits for a clean end."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

_held: list[Callable[[], None]] = []


class _Delay:
    """Whether a block that must not be left half done runs, and the code to end with after it."""

    blocks = 0
    code: int | None = None


@contextmanager
def given_up_by(action: Callable[[], None]) -> Iterator[None]:
    """Have `quit_now` call `action` if it is called within the block. OSError in it is passed over."""
    _held.append(action)
    try:
        yield
    finally:
        _held.remove(action)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Have `quit_soon` wait for the end of the block: for a moment, in which something is made that must be held."""
    _Delay.blocks += 1
    try:
        yield
    finally:
        _Delay.blocks -= 1
        if not _Delay.blocks and _Delay.code is not None:
            quit_now(_Delay.code)


def quit_soon(code: int) -> None:
    """`quit_now`, or at the end of the `uninterrupted` block in hand."""
    if _Delay.blocks:
        _Delay.code = code
    else:
        quit_now(code)


def quit_now(code: int) -> NoReturn:
    """Give up what is held, the newest first, and end the process without unwinding it.

    An exception, raised by a signal between any two instructions, could be swallowed by a callback or leave a clean-up
    half done.
    """
    for action in reversed(_held):
        with suppress(OSError):
            action()
    os._exit(code)
