"""Errors in words for somebody at a terminal."""

from __future__ import annotations

from local.ministack import MiniStackFailed
from local.terminal.screen import harmless


def said(error: Exception) -> str:
    """What an error says, in one line that does nothing to a terminal; of a file which one it is, without a number."""
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    # MiniStack's failures end with lines of its log.
    return harmless(text if isinstance(error, MiniStackFailed) else " ".join(text.splitlines()))
