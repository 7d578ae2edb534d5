"""The signing keys of a user pool: fetched seldom, and soon enough when the pool has a new one."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Mapping
from http import HTTPStatus
from threading import Lock
from typing import Generic, TypeVar
from urllib.parse import urlsplit

from chalicelib.access.outcome import KeysUnavailable
from chalicelib.times import Clock

FRESH_MS = 3_600_000
"""How long keys are taken as they are; then they are fetched again."""
LONGEST_MS = 24 * 3_600_000
"""How long they are taken at all while the pool's address does not answer: a key that was withdrawn must end."""
PAUSE_MS = 30_000
"""Between two attempts to fetch, whatever tokens ask for: anybody can make up key ids."""
TIMEOUT_S = 3.0
LARGEST = 100_000
"""Bytes of a key set. Cognito's have two keys, in less than 2,000."""

Key = TypeVar("Key")


class KeyCache(Generic[Key]):
    """Keys by their ids, for all threads of a process.

    Parameters
    ----------
    fetch
        All keys by id. Raises `KeysUnavailable`.
    """

    def __init__(self, fetch: Callable[[], Mapping[str, Key]], clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = Lock()
        self._keys: Mapping[str, Key] = {}
        self._fetched: int | None = None
        self._attempted: int | None = None
        self._trouble = ""

    def find(self, key_id: str) -> Key | None:
        """The key of that id, or None if the pool has no such key.

        An id that is not known yet may be that of a new key, so the keys are fetched again, once in `PAUSE_MS`.

        Raises
        ------
        KeysUnavailable
            There are none, or only keys that are too old.
        """
        with self._lock:
            now = self._clock.now()
            age = None if self._fetched is None else now - self._fetched
            if (age is None or age >= FRESH_MS or key_id not in self._keys) and self._may_attempt(now):
                self._attempt(now)
            if self._fetched is None or now - self._fetched >= LONGEST_MS:
                raise KeysUnavailable(self._trouble)
            return self._keys.get(key_id)

    def _may_attempt(self, now: int) -> bool:
        # A clock that was set back must not put the next attempt off.
        return self._attempted is None or not 0 <= now - self._attempted < PAUSE_MS

    def _attempt(self, now: int) -> None:
        self._attempted = now
        try:
            self._keys = self._fetch()
        except KeysUnavailable as trouble:
            self._trouble = str(trouble)
        else:
            self._fetched = now


def download(url: str) -> bytes:
    """What an address answers, within seconds. Raises `KeysUnavailable`."""
    parts = urlsplit(url)
    connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = connect(parts.netloc, timeout=TIMEOUT_S)
    try:
        connection.request("GET", parts.path)
        response = connection.getresponse()
        body = response.read(LARGEST + 1)
    except (OSError, http.client.HTTPException) as error:
        raise KeysUnavailable(f"{url} does not answer: {type(error).__name__}") from error
    finally:
        connection.close()
    if response.status != HTTPStatus.OK:
        raise KeysUnavailable(f"{url} answers {response.status}")
    if len(body) > LARGEST:
        raise KeysUnavailable(f"{url} answers more than {LARGEST} bytes")
    return body
