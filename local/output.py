"""What the application prints: in Lambda it goes to the log; here standard output belongs to a command's answer."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

logger = logging.getLogger("app.stdout")

METRICS = '{"_aws"'
"""How a line of CloudWatch's embedded metric format begins."""


class _ToLog(io.TextIOBase):
    """Lines of standard output: logs to standard error, metrics to the debug log."""

    def __init__(self, errors: TextIO) -> None:
        self._errors = errors

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        # Powertools' logger and print() write a line, or its end, in one call.
        if text.startswith(METRICS):
            logger.debug(text)
        elif text.strip():
            self._errors.write(text if text.endswith("\n") else text + "\n")
        return len(text)

    def flush(self) -> None:
        self._errors.flush()


@contextmanager
def own_stdout() -> Iterator[TextIO]:
    """Keep standard output for the caller, who gets it; whatever else the block prints goes to standard error."""
    real = sys.stdout
    sys.stdout = _ToLog(sys.stderr)
    try:
        yield real
    finally:
        sys.stdout = real
