"""Where a running ``serve`` leaves its environment for ``python -m local env``.

``DIR/serve.json`` with ``--data DIR``, else ``journey-attribution-UID/serve.json`` where temporary files are.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

FILE_NAME = "serve.json"
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
UNSET = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN")
"""Of the user's own; with dummy credentials they would make boto3 fail or sign wrongly."""


class NotServing(Exception):
    """No ``serve`` is running there, or the file is not this user's own."""


class Served(NamedTuple):
    """A running ``serve``: its process and the application's environment."""

    pid: int
    environment: dict[str, str]


def state_path(data: Path | None) -> Path:
    """Where the file is, for a data directory or without one."""
    if data is not None:
        return data / FILE_NAME
    return Path(tempfile.gettempdir()) / f"journey-attribution-{os.getuid()}" / FILE_NAME


@contextmanager
def published(data: Path | None, environment: Mapping[str, str]) -> Iterator[Path]:
    """Leave the environment in the file for the time of the block. A later ``serve`` takes the file over."""
    path = state_path(data)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if data is None:
        _check_own(path.parent)
    unfinished = path.with_suffix(f".{os.getpid()}")
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump({"pid": os.getpid(), "environment": dict(environment)}, file)
    unfinished.replace(path)
    try:
        yield path
    finally:
        if path.exists() and _read(path).pid == os.getpid():
            path.unlink(missing_ok=True)


def served(data: Path | None) -> Served:
    """The running ``serve``. Raises `NotServing`."""
    path = state_path(data)
    if not path.exists():
        raise NotServing(f"no serve is running: there is no {path}")
    found = _read(path)
    try:
        os.kill(found.pid, 0)
    except ProcessLookupError as error:
        raise NotServing(f"serve, process {found.pid}, is not running any more") from error
    return found


def shell_lines(environment: Mapping[str, str]) -> str:
    """Commands for a shell to ``eval``."""
    lines = [f"unset {' '.join(UNSET)}"]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in environment.items() if VARIABLE.fullmatch(name)]
    return "\n".join(lines)


def _read(path: Path) -> Served:
    # A shell evaluates what is in it, and the directory for temporary files is everybody's.
    _check_own(path)
    content = json.loads(path.read_text(encoding="utf-8"))
    return Served(int(content["pid"]), {str(name): str(value) for name, value in content["environment"].items()})


def _check_own(path: Path) -> None:
    status = path.lstat()
    if status.st_uid != os.getuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) or stat.S_ISLNK(status.st_mode):
        raise NotServing(f"{path} can be written by others")
