"""The pool's keys: fetched seldom, again for a key id that is new, and not for each that somebody makes up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from chalicelib.access.keys import FRESH_MS, LARGEST, LONGEST_MS, PAUSE_MS, KeyCache, download
from chalicelib.access.outcome import KeysUnavailable, Refused
from chalicelib.access.tokens import TokenVerifier, fetch_keys, issuer_of, key_set_url
from tests.support.clock import SetClock
from tests.support.tokens import CLIENT, POOL, claims, pair, published, signed


class Pool:
    """A pool's published keys, and how often they were asked for."""

    def __init__(self, *names: str) -> None:
        self.names = list(names)
        self.asked = 0
        self.down = False

    def fetch(self) -> dict[str, str]:
        self.asked += 1
        if self.down:
            raise KeysUnavailable("the pool does not answer")
        return {name: f"key {name}" for name in self.names}


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


def test_keys_are_fetched_once_an_hour(clock: SetClock) -> None:
    pool = Pool("a", "b")
    cache = KeyCache(pool.fetch, clock)
    assert (cache.find("a"), cache.find("b"), pool.asked) == ("key a", "key b", 1)
    clock.time += FRESH_MS - 1
    assert (cache.find("a"), pool.asked) == ("key a", 1)
    clock.time += 1
    assert (cache.find("a"), pool.asked) == ("key a", 2)


def test_a_new_key_is_found_by_fetching_again_once(clock: SetClock) -> None:
    pool = Pool("old")
    cache = KeyCache(pool.fetch, clock)
    assert cache.find("old") == "key old"
    pool.names = ["old", "new"]
    clock.time += PAUSE_MS
    assert (cache.find("new"), pool.asked) == ("key new", 2)
    assert (cache.find("new"), cache.find("old"), pool.asked) == ("key new", "key old", 2)


def test_a_withdrawn_key_is_none_any_more_once_the_keys_are_fetched(clock: SetClock) -> None:
    pool = Pool("old")
    cache = KeyCache(pool.fetch, clock)
    cache.find("old")
    pool.names = ["new"]
    clock.time += PAUSE_MS
    assert cache.find("new") == "key new"
    assert cache.find("old") is None


def test_made_up_key_ids_do_not_hammer_the_pool(clock: SetClock) -> None:
    pool = Pool("a")
    cache = KeyCache(pool.fetch, clock)
    for number in range(1_000):
        assert cache.find(f"made up {number}") is None
    assert pool.asked == 1
    clock.time += PAUSE_MS
    for number in range(1_000):
        assert cache.find(f"made up {number}") is None
    assert pool.asked == 2
    assert cache.find("a") == "key a"


def test_while_the_pool_is_down_its_keys_go_on_for_a_day(clock: SetClock) -> None:
    pool = Pool("a")
    cache = KeyCache(pool.fetch, clock)
    cache.find("a")
    pool.down = True
    clock.time += LONGEST_MS - 1
    assert cache.find("a") == "key a"
    clock.time += 1
    with pytest.raises(KeysUnavailable, match="the pool does not answer"):
        cache.find("a")
    pool.down = False
    clock.time += PAUSE_MS
    assert cache.find("a") == "key a"


def test_a_pool_that_is_down_from_the_start_is_asked_seldom(clock: SetClock) -> None:
    pool = Pool("a")
    pool.down = True
    cache = KeyCache(pool.fetch, clock)
    for _ in range(100):
        with pytest.raises(KeysUnavailable, match="the pool does not answer"):
            cache.find("a")
    assert pool.asked == 1
    pool.down = False
    clock.time += PAUSE_MS
    assert (cache.find("a"), pool.asked) == ("key a", 2)


def test_a_clock_that_is_set_back_does_not_stop_fetching(clock: SetClock) -> None:
    pool = Pool("a")
    cache = KeyCache(pool.fetch, clock)
    cache.find("a")
    pool.names = ["a", "b"]
    clock.time -= FRESH_MS
    assert cache.find("b") == "key b"


def test_many_threads_fetch_once(clock: SetClock) -> None:
    pool = Pool("a")
    cache = KeyCache(pool.fetch, clock)
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(cache.find("a"))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (found, pool.asked) == (["key a"] * 16, 1)


# --- over HTTP ---


class Website(ThreadingHTTPServer):
    """Answers every GET the same, and keeps what was asked for."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Page)
        self.answer = (status, body)
        self.paths: list[str] = []


class Page(BaseHTTPRequestHandler):
    server: Website

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        status, body = self.server.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@contextmanager
def website(status: int, body: bytes) -> Iterator[Website]:
    server = Website(status, body)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def address(server: Website) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}"


def test_a_rotated_key_is_accepted_and_the_withdrawn_one_refused(clock: SetClock) -> None:
    old, new = pair("old"), pair("new")
    with website(200, published(old)) as pool:
        url = key_set_url(POOL, address(pool))
        verifier = TokenVerifier(issuer_of(POOL), CLIENT, KeyCache(lambda: fetch_keys(url), clock), clock)
        assert verifier.verify(signed(claims(clock.now()), old)).subject == "subject-1"
        pool.answer = (200, published(new))
        clock.time += PAUSE_MS
        assert verifier.verify(signed(claims(clock.now()), new)).subject == "subject-1"
        with pytest.raises(Refused, match="none of the pool's"):
            verifier.verify(signed(claims(clock.now()), old))
        assert pool.paths == [f"/{POOL}/.well-known/jwks.json"] * 2


def test_what_is_not_signed_with_rs256_fetches_nothing(clock: SetClock) -> None:
    pool = Pool()
    verifier = TokenVerifier(issuer_of(POOL), CLIENT, KeyCache(pool.fetch, clock), clock)  # type: ignore[arg-type]
    for header in ("eyJhbGciOiJub25lIn0", "eyJhbGciOiJIUzI1NiJ9"):
        with pytest.raises(Refused):
            verifier.verify(f"{header}.e30.c2ln")
    assert pool.asked == 0


@pytest.mark.parametrize(
    ("status", "body", "trouble"),
    [
        (404, b"", "answers 404"),
        (500, b"oops", "answers 500"),
        # A redirection is not followed: the keys are where the pool is.
        (302, b"", "answers 302"),
        (200, b" " * (LARGEST + 1), "answers more than"),
    ],
)
def test_an_answer_that_is_none(status: int, body: bytes, trouble: str) -> None:
    with website(status, body) as pool, pytest.raises(KeysUnavailable, match=trouble):
        download(address(pool))


def test_nothing_that_answers() -> None:
    with website(200, b"") as gone:
        url = address(gone)
    with pytest.raises(KeysUnavailable, match="does not answer: ConnectionRefusedError"):
        download(url)
