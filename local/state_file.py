"""Where a running ``serve`` leaves its environment for ``python -m local env``.

``serve-PID.json`` in ``journey-attribution-UID``, where temporary files are, and with ``--data DIR`` in
``DIR/serve.json`` as well. A process that runs holds a lock on its files: what is left of another is not taken for it.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shlex
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple, TextIO

from local.givingup import given_up_by

FILE_NAME = "serve.json"
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
UNSET = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN")
"""Of the user's own; with dummy credentials they would make boto3 fail or sign wrongly."""


class NotServing(Exception):
    """No ``serve`` is running there, or the file is not this user's own."""


class Served(NamedTuple):
    """A running ``serve``: its process, the environment for a shell, and when it was ready (seconds UTC)."""

    pid: int
    environment: dict[str, str]
    since: float


def state_folder() -> Path:
    """Where the files of this user's processes are."""
    return Path(tempfile.gettempdir()) / f"journey-attribution-{os.getuid()}"


def state_path(data: Path | None) -> Path:
    """Where this process's file is: in a data directory, or without one among those of the user's processes."""
    return data / FILE_NAME if data is not None else state_folder() / f"serve-{os.getpid()}.json"


@contextmanager
def published(data: Path | None, environment: Mapping[str, str]) -> Iterator[Path]:
    """Leave the environment in this process's files for the time of the block; yields the one for ``data``.

    Raises NotServing where others may write to the folder of the files, OSError where it cannot be written to.
    """
    folder = state_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _check_own(folder)
    _remove_stale(folder)
    with ExitStack() as opened:
        for path in {state_path(None), state_path(data)}:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            opened.enter_context(_written(path, environment))
        yield state_path(data)


@contextmanager
def _written(path: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """A file that is there, and locked, for the time of the block."""
    unfinished = path.with_suffix(f".{os.getpid()}")

    def remove() -> None:
        unfinished.unlink(missing_ok=True)
        path.unlink(missing_ok=True)

    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file, given_up_by(remove):
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            json.dump({"pid": os.getpid(), "since": time.time(), "environment": dict(environment)}, file)
            file.flush()
            unfinished.replace(path)
            yield
        finally:
            remove()


def served(data: Path | None, pid: int | None = None) -> Served:
    """The running ``serve`` of a data directory, or of a process; without either the newest. Raises `NotServing`."""
    if data is not None:
        path = state_path(data)
        found = _running(path)
        if found is None:
            raise NotServing(f"no serve is running with --data {data}")
        return found
    running = all_served()
    if pid is not None:
        running = [one for one in running if one.pid == pid]
    if not running:
        raise NotServing("no serve is running" + ("" if pid is None else f" as process {pid}"))
    return running[0]


def all_served() -> list[Served]:
    """All that this user runs, the newest first. Raises `NotServing` where a file is not this user's own."""
    found = [_running(path) for path in state_folder().glob("serve-*.json")]
    return sorted((one for one in found if one is not None), key=lambda one: one.since, reverse=True)


def shell_lines(environment: Mapping[str, str]) -> str:
    """Commands for a shell to ``eval``."""
    lines = [f"unset {' '.join(UNSET)}"]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in environment.items() if VARIABLE.fullmatch(name)]
    return "\n".join(lines)


def _running(path: Path) -> Served | None:
    """What a file says, if the process that wrote it runs."""
    try:
        # A shell evaluates what is in it, and the directory for temporary files is everybody's.
        _check_own(path)
        with path.open(encoding="utf-8") as file:
            if not _is_locked(file):
                return None
            content = json.load(file)
        environment = {str(name): str(value) for name, value in content["environment"].items()}
        return Served(int(content["pid"]), environment, float(content["since"]))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NotServing(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise NotServing(f"{path} is no file of a serve: {error!r}") from error


def _is_locked(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _remove_stale(folder: Path) -> None:
    """Remove what processes left that were killed."""
    for path in folder.glob("serve-*.json"):
        if path.is_file() and _running(path) is None:
            path.unlink(missing_ok=True)


def _check_own(path: Path) -> None:
    status = path.lstat()
    if status.st_uid != os.getuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) or stat.S_ISLNK(status.st_mode):
        raise NotServing(f"{path} can be written by others")
