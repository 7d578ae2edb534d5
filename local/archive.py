"""Reading archived stream records: lines of JSON, plain or gzip, and what Firehose leaves behind.

A line is one record, byte for byte as it stands, well-formed or not: what is wrong with it is for the application to
say. Only Firehose's habit of writing one JSON object right after the other needs understanding: such a line is taken
apart.

Positions are bytes from the start of the file, after decompression.
"""

import gzip
import json
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader, FileIO
from pathlib import Path

CHUNK = 1024 * 1024
LONG_LINE = 2 * 1024 * 1024
"""A line longer than this is looked at for objects before its end is found."""
HOPELESS_LINE = 16 * 1024 * 1024
"""The most that is held of a line without an object in it. No record of a stream has ever been larger."""
GZIP_MAGIC = b"\x1f\x8b"
STDIN = Path("-")
STDIN_DESCRIPTOR = 0

_SEVERAL = re.compile(rb"\}\s*\{")
_BLANKS = re.compile(r"[ \t\r\n]*")


class ArchiveError(Exception):
    """A file cannot be read, or only up to some point; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Record:
    """The bytes of one record; reading on from `end` gives what comes after it."""

    data: bytes
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Oversized:
    """A record of too many bytes, left out."""

    start: int
    end: int


class Archive:
    """One open file, or standard input."""

    def __init__(self, name: str, raw: BufferedReader) -> None:
        self.name = name
        self._raw = raw
        self._source = gzip.GzipFile(fileobj=raw) if raw.peek(2)[:2] == GZIP_MAGIC else raw

    def position(self) -> int:
        """How many bytes of the file itself, compressed or not, have been read; 0 for what has no size, as a pipe."""
        return self._raw.tell() if self._raw.seekable() else 0

    def records(self, start: int, largest: int) -> Iterator[Record | Oversized]:
        """The records from `start` on; those of more than `largest` bytes only by their position. Blank lines are none.

        Raises ArchiveError where the file is damaged, after all the records before the damage.
        """
        self._go_to(start)
        for record in self._lines(start):
            if isinstance(record, Record) and len(record.data) > largest:
                yield Oversized(record.start, record.end)
            else:
                yield record

    def _go_to(self, start: int) -> None:
        """Skips what is before `start`; decompressing it, if need be."""
        if start:
            try:
                self._source.seek(start)
            except (OSError, EOFError, zlib.error) as error:
                raise ArchiveError(f"{self.name}: cannot be read up to byte {start:,}: {error}") from error

    def _read(self) -> bytes:
        """The next bytes, none at the end; in small reads, so that damage costs nothing of what is before it."""
        try:
            return self._source.read1(CHUNK)
        except (OSError, EOFError, zlib.error) as error:
            raise ArchiveError(f"{self.name}: damaged, the rest cannot be read: {error}") from error

    def _lines(self, at: int) -> Iterator[Record | Oversized]:
        """All records of at most `HOPELESS_LINE` bytes."""
        line, limit = b"", LONG_LINE
        while chunk := self._read():
            *lines, line = (line + chunk).split(b"\n")
            for complete in lines:
                yield from records_of(complete, at)
                at += len(complete) + 1
            if lines:
                limit = LONG_LINE
            if len(line) > limit:
                objects = leading_objects(line, at)
                if objects:
                    yield from objects
                    line, at, limit = line[objects[-1].end - at :], objects[-1].end, LONG_LINE
                elif limit < HOPELESS_LINE:
                    limit *= 2
                else:
                    end, line = self._skip_line(at + len(line))
                    yield Oversized(at, end)
                    at, limit = end, LONG_LINE
        yield from records_of(line, at)

    def _skip_line(self, at: int) -> tuple[int, bytes]:
        """Reads to the end of the present line, of which `at` is read; returns the next one's position and start."""
        while chunk := self._read():
            before, newline, after = chunk.partition(b"\n")
            if newline:
                return at + len(before) + 1, after
            at += len(before)
        return at, b""


def records_of(line: bytes, at: int) -> Iterator[Record]:
    """The record of a line without its end, or the several that Firehose wrote into it."""
    end = at + len(line) + 1
    if not line or line.isspace():
        return
    if _SEVERAL.search(line):
        objects = leading_objects(line, at)
        if objects:
            yield from objects
            rest = line[objects[-1].end - at :]
            if rest and not rest.isspace():  # Cut off or garbled: a record of its own, so its neighbours stay whole.
                yield Record(rest.removesuffix(b"\r"), objects[-1].end, end)
            return
    yield Record(line.removesuffix(b"\r"), at, end)


def leading_objects(text: bytes, at: int) -> list[Record]:
    """The complete JSON objects that `text` begins with, one after the other; `at` is its position."""
    # Surrogate escapes keep every byte that is not UTF-8, so that records come out as the bytes that went in.
    decoded = text.decode("utf-8", "surrogateescape")
    decoder = json.JSONDecoder()
    objects: list[Record] = []
    here = after_blanks(decoded, 0)
    at += here
    while decoded.startswith("{", here):
        try:
            _, end = decoder.raw_decode(decoded, here)
        except (ValueError, RecursionError):  # Not JSON (or nested deeper than Python goes) from here on.
            break
        data = decoded[here:end].encode("utf-8", "surrogateescape")
        here = after_blanks(decoded, end)
        objects.append(Record(data, at, at + len(data) + here - end))
        at = objects[-1].end
    return objects


def after_blanks(text: str, here: int) -> int:
    """The place of the first character from `here` on that JSON does not skip."""
    blanks = _BLANKS.match(text, here)
    return blanks.end() if blanks is not None else here


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Opens a file of records, compressed or not as its first bytes say; `-` is standard input.

    Raises ArchiveError if it cannot be opened.
    """
    if path == STDIN:
        yield Archive("standard input", BufferedReader(FileIO(STDIN_DESCRIPTOR, closefd=False)))
        return
    try:
        raw = path.open("rb")
    except OSError as error:
        raise ArchiveError(f"{path}: {error.strerror}") from error
    with raw:
        yield Archive(str(path), raw)
