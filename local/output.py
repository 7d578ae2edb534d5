"""What the application prints and logs: in Lambda it goes to the log; here a terminal is for progress and results."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NamedTuple, TextIO

import typer

METRICS = '{"_aws"'
"""How a line of CloudWatch's embedded metric format begins."""
LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class LogLevel(StrEnum):
    """Of the application and of the local system."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


LogFileOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Add the log lines of the application's functions and of this system to FILE."),
]
LogLevelOption = Annotated[
    LogLevel | None,
    typer.Option(
        case_sensitive=False,
        help="What is logged. Default: INFO with --log-file, else nothing; without --log-file to standard error.",
    ),
]


class Logs(NamedTuple):
    """What is logged, and where to."""

    level: LogLevel
    to: TextIO | None
    """None: log lines of the application are dropped."""


class _Printed(io.TextIOBase):
    """Lines of standard output on their way to the log."""

    def __init__(self, logs: Logs) -> None:
        self._logs = logs

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        # Powertools' logger and print() write a line, or its end, in one call.
        wanted = text.strip() and (self._logs.level == LogLevel.DEBUG or not text.startswith(METRICS))
        if self._logs.to is not None and wanted:
            self._logs.to.write(text if text.endswith("\n") else text + "\n")
            self._logs.to.flush()
        return len(text)


@contextmanager
def logs_of(file: Path | None, level: LogLevel | None) -> Iterator[Logs]:
    """What the options of a command say of logs; sets up this system's own logging. Raises OSError.

    Without either option, standard error gets this system's own warnings and nothing else.
    """
    with ExitStack() as opened:
        to: TextIO | None = None
        if file is not None:
            to = opened.enter_context(file.open("a", encoding="utf-8"))
        elif level is not None:
            to = sys.stderr
        logs = Logs(level or (LogLevel.INFO if file is not None else LogLevel.WARNING), to)
        _log_to(to or sys.stderr, logs.level)
        yield logs


@contextmanager
def own_stdout(logs: Logs) -> Iterator[TextIO]:
    """Keep standard output for the caller, who gets it; whatever else the block prints is logged."""
    real = sys.stdout
    sys.stdout = _Printed(logs)
    try:
        yield real
    finally:
        sys.stdout = real


def _log_to(stream: TextIO, level: LogLevel) -> None:
    handlers: list[logging.Handler] = [logging.StreamHandler(stream)]
    if stream is not sys.stderr:
        shown = logging.StreamHandler(sys.stderr)
        shown.setLevel(max(logging.WARNING, logging.getLevelName(level.value)))
        handlers.append(shown)
    for handler in handlers:
        handler.setFormatter(logging.Formatter(LINE))
    logging.basicConfig(level=level.value, handlers=handlers, force=True)
    # urllib3 warns of every connection beyond those that it keeps; botocore and boto3 say at DEBUG what they send.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    for library in ("boto3", "botocore"):
        logging.getLogger(library).setLevel(logging.WARNING)
