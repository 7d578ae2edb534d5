"""How far a replay has come, in a small JSON file, so that an interrupted one goes on where it stopped.

It is written after each request that the stream has acknowledged. A crash between the two sends at most that request's
records again, which changes nothing: the application takes a record it knows for the same.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from local.archive import ArchiveError

HEAD = 64 * 1024
"""Bytes at the start of a file that, with its size, say whether it is still the same."""


class CheckpointError(Exception):
    """A checkpoint cannot be used; the message says why and what to do."""


class FileIdentity(msgspec.Struct, frozen=True):
    """What a file is known by; moving or touching it changes nothing."""

    name: str
    size: int
    head: str


class Target(msgspec.Struct, frozen=True):
    """Where a replay goes to; None is what boto3 finds by itself."""

    stream: str
    endpoint_url: str | None
    region: str | None

    def __str__(self) -> str:
        where = " ".join(part for part in (self.region, self.endpoint_url) if part)
        return f"stream {self.stream}" + (f" ({where})" if where else "")


class Checkpoint(msgspec.Struct, frozen=True):
    """`file` is the index of the file that is being read, `offset` the bytes of it (decompressed) that are done.

    `sent` and `skipped` count all records up to there, of all runs.
    """

    target: Target
    files: tuple[FileIdentity, ...]
    file: int = 0
    offset: int = 0
    sent: int = 0
    skipped: int = 0
    finished: bool = False


def identity(path: Path) -> FileIdentity:
    """Raises ArchiveError if `path` is no file that can be read."""
    if path.exists() and not path.is_file():
        raise ArchiveError(f"{path} is no file; what comes through a pipe can be given as standard input (-)")
    try:
        with path.open("rb") as file:
            return FileIdentity(path.name, path.stat().st_size, hashlib.sha256(file.read(HEAD)).hexdigest())
    except OSError as error:
        raise ArchiveError(f"{path}: {error.strerror}") from error


def load(path: Path, fresh: Checkpoint) -> Checkpoint:
    """Where to go on: the checkpoint at `path` if there is one, else `fresh`, which names target and files of this run.

    Raises CheckpointError if what is at `path` is none, or is of another replay.
    """
    try:
        stored = msgspec.json.decode(path.read_bytes(), type=Checkpoint)
    except FileNotFoundError:
        return fresh
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise CheckpointError(f"{path} is no checkpoint of a replay; give another --checkpoint: {error}") from error
    if stored.target != fresh.target:
        raise CheckpointError(
            f"{path} is of a replay into {stored.target}, not into {fresh.target}; start over with --restart, or give"
            " another --checkpoint"
        )
    if stored.files != fresh.files or stored.file >= len(stored.files):
        raise CheckpointError(
            f"{path} is of other files, or they have changed; start over with --restart, or give another --checkpoint"
        )
    return stored


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Replaces the checkpoint at `path` at once: whoever reads it sees the old one or the new one.

    Raises CheckpointError if it cannot be written.
    """
    written = path.with_name(f"{path.name}.new")
    try:
        written.write_bytes(msgspec.json.encode(checkpoint))
        written.replace(path)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be written: {error.strerror}") from error
