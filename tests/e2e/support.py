"""A running ``serve`` as its users see it: one line of JSON, the AWS endpoint, the REST API. Nothing of the project
is imported here.
"""

from __future__ import annotations

import http.client
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

import boto3

from tests.reference.records import encode, event

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
PROJECT = Path(__file__).parents[2]
NAMES = {"window": {"spring": "Spring sale"}, "backwards": {"spring": "Spring sale"}}
"""Of journeys, as the fixture server knows them: by application and id."""
MARKER = "marker-application"
SHARD_HASHES = ("0", str(2**128 - 1))
"""Explicit hash keys of the first and of the last shard."""
HOPS = 3
"""Of a fact through the change stream, until it is with the user it belongs to."""
WITHIN_S = 30.0


class Answer(NamedTuple):
    """Of the REST API."""

    status: int
    body: Any

    @property
    def message(self) -> str:
        """What an error says."""
        return str(self.body["detail"])


class Served:
    """A running ``serve``. ``ready`` is the line that it printed."""

    def __init__(self, process: subprocess.Popen[str], ready: Mapping[str, Any]) -> None:
        self.process = process
        self.ready = ready
        self.kinesis = self.client("kinesis")
        self.cognito = self.client("cognito-idp")
        self._markers = itertools.count(1)

    def client(self, service: str) -> Any:
        """A boto3 client as somebody with this line alone would make it."""
        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=self.ready["aws"],
            region_name=self.ready["region"],
            aws_access_key_id="any",
            aws_secret_access_key="any",
        )

    # --- the stream ---

    def put(self, records: Iterable[Mapping[str, object] | bytes], shard: int = 0) -> None:
        """Put records into the stream, in this order, all into one shard."""
        entries = [
            {
                "Data": one if isinstance(one, bytes) else encode(one),
                "PartitionKey": "any",
                "ExplicitHashKey": SHARD_HASHES[shard],
            }
            for one in records
        ]
        answer = self.kinesis.put_records(StreamName=self.ready["stream"], Records=entries)
        assert answer["FailedRecordCount"] == 0

    def settle(self, within_s: float = WITHIN_S) -> None:
        """Wait until everything that is in the stream is projected.

        What is put now comes after it, in each shard. What a fact's projection writes into another identity's
        partition comes after that again: from an endpoint to a ``UserId``, and from there to a user name.
        """
        for _ in range(HOPS):
            self._pass_markers(within_s)

    def _pass_markers(self, within_s: float) -> None:
        number = next(self._markers)
        for shard in range(len(SHARD_HASHES)):
            self.put([event(MARKER, f"marker-{shard}", number)], shard)
        expected = {f"marker-{shard}": number for shard in range(len(SHARD_HASHES))}
        eventually(lambda: self.report(MARKER)["total"]["events"], expected, within_s)

    # --- the API ---

    def get(self, path: str, query: Mapping[str, object] | None = None) -> Answer:
        """GET a path, with query parameters."""
        return self._request("GET", f"{path}?{urlencode(query)}" if query else path)

    def put_json(self, path: str, body: object) -> Answer:
        """PUT a document, or bytes as they are."""
        return self._request("PUT", path, body if isinstance(body, bytes) else json.dumps(body).encode())

    def _request(self, method: str, target: str, body: bytes | None = None) -> Answer:
        headers = {"Authorization": f"Bearer {self.ready['tokens']['admin']}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        return self.call(method, target, headers, body)

    def call(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
        """A request with these headers, and no others that matter."""
        connection = http.client.HTTPConnection(urlsplit(self.ready["api"]).netloc, timeout=30)
        try:
            connection.request(method, target, body, dict(headers))
            response = connection.getresponse()
            return Answer(response.status, json.loads(response.read()))
        finally:
            connection.close()

    def report(self, application: str) -> Any:
        """The report of all days."""
        return self._ok(self.get(f"/applications/{application}/report"))

    def events(self, application: str, **query: object) -> list[Any]:
        """The items of one page of events; ``start`` and ``end`` stand for from and to."""
        named = {{"start": "from", "end": "to"}.get(name, name): value for name, value in query.items()}
        items: list[Any] = self._ok(self.get(f"/applications/{application}/events", named))["items"]
        return items

    def user(self, application: str, name: str) -> Any:
        """A user's history."""
        return self._ok(self.get(f"/applications/{application}/users/{quote(name, safe='')}"))

    def set_window(self, application: str, days: float, effective_from: str) -> None:
        """Change the lookback window."""
        self._ok(
            self.put_json(
                f"/applications/{application}/lookback-window", {"days": days, "effective_from": effective_from}
            )
        )

    def _ok(self, answer: Answer) -> Any:
        assert answer.status == 200, answer
        return answer.body

    # --- Cognito ---

    def register(self, *names: str) -> None:
        """Create users in the pool."""
        for name in names:
            self.cognito.admin_create_user(
                UserPoolId=self.ready["user_pool_id"], Username=name, MessageAction="SUPPRESS"
            )

    def campaign_attribute(self, name: str) -> str | None:
        """``custom:campaign`` of a user; None where it was never set."""
        user = self.cognito.admin_get_user(UserPoolId=self.ready["user_pool_id"], Username=name)
        attributes = {one["Name"]: one["Value"] for one in user["UserAttributes"]}
        return attributes.get("custom:campaign")


def now() -> int:
    """Milliseconds UTC."""
    return time.time_ns() // 1_000_000


def eventually(look: Callable[[], object], expected: object, within_s: float = WITHIN_S) -> None:
    """Look until it is what is expected; fails with what it was at last."""
    deadline = time.monotonic() + within_s
    while (found := look()) != expected and time.monotonic() < deadline:
        time.sleep(0.1)
    assert found == expected


def figures(report: Mapping[str, Any], journey: str) -> Any:
    """A journey's line of a report."""
    return next(one for one in report["journeys"] if one["journey_id"] == journey)


def credits(items: Sequence[Mapping[str, Any]]) -> list[tuple[str, str | None]]:
    """Event type and journey of listed events."""
    return [(one["event_type"], one["journey_id"]) for one in items]


def as_a_user_has_it() -> dict[str, str]:
    """The environment without what keeps the tests quiet: what is logged must not end up on standard output."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("LOG_", "POWERTOOLS_"))}


@contextmanager
def serving(log: Path, *options: str) -> Iterator[Served]:
    """``python -m local serve`` for the time of the block; then it must end well on SIGTERM and leave no child behind.

    ``log`` takes its standard error.
    """
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "local", "serve", *options],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=as_a_user_has_it(),
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, log.read_text()
        yield Served(process, json.loads(line))
        children = children_of(process.pid)
        assert children, "MiniStack is a child process"
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=60)
        assert (process.returncode, rest) == (0, ""), log.read_text()
        assert not [child for child in children if is_running(child)]
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def children_of(parent: int) -> list[int]:
    """Child processes of a process."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            if int(_stat(path)[1]) == parent:
                found.append(int(path.parent.name))
    return found


def is_running(pid: int) -> bool:
    """Whether a process still runs; one that only nobody has waited for does not."""
    try:
        return _stat(Path(f"/proc/{pid}/stat"))[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _stat(path: Path) -> list[str]:
    """State, parent and more of a process; its name, which stands before them, may hold anything."""
    return path.read_text().rsplit(") ", 1)[1].split()
