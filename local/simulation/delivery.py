"""What a stream does to events on the way: late, twice, out of order, and now and then broken."""

import heapq
import json
import random
from collections.abc import Callable, Iterator

from local.simulation.chance import HOUR, MINUTE, SECOND, delay
from local.simulation.shapes import Event, compact

DUPLICATED = 0.02
REDELIVERED = 0.006
"""Events reported again with a later arrival. Never of e-mail: there another arrival is another interaction."""
LATE = 0.02
READ_TYPES = frozenset(
    {"_journey.send", "_email.open", "_email.click", "_journey.opened_notification", "_monetization.purchase"}
)
"""Pinpoint's own types that attribution needs; of an application's own types it needs all."""


class ReorderBuffer:
    """Records on their way, given out by the time that they reach the stream; holds at most `capacity` of them.

    When it is full the next ones come out early, as if the transport were faster: a run of any size needs the same
    memory, and order means nothing in this stream anyway.
    """

    def __init__(self, capacity: int, rng: random.Random) -> None:
        self._capacity = capacity
        self._rng = rng
        self._pending: list[tuple[int, int, bytes]] = []
        self._added = 0
        self.largest = 0

    def add(self, arrival: int, record: bytes) -> None:
        """Takes a record that Pinpoint has at `arrival`; it reaches the stream soon after, or for some much later."""
        transport = self._rng.randrange(30 * SECOND)
        if self._rng.random() < LATE:
            transport += delay(self._rng, 6 * HOUR)
        self._added += 1
        heapq.heappush(self._pending, (arrival + transport, self._added, record))
        self.largest = max(self.largest, len(self._pending))

    def until(self, time: int) -> Iterator[bytes]:
        """The records that reach the stream by `time`, and those for which there is no room."""
        while self._pending and (self._pending[0][0] <= time or len(self._pending) > self._capacity):
            yield heapq.heappop(self._pending)[2]

    def rest(self) -> Iterator[bytes]:
        """All that are left."""
        while self._pending:
            yield heapq.heappop(self._pending)[2]


def shuffled(records: Iterator[bytes], window: int, rng: random.Random) -> Iterator[bytes]:
    """Mixes neighbours, as reading several shards does."""
    held: list[bytes] = []
    for record in records:
        held.append(record)
        if len(held) > window:
            yield take(held, rng)
    while held:
        yield take(held, rng)


def take(held: list[bytes], rng: random.Random) -> bytes:
    """Takes any one out, without moving the others."""
    chosen = rng.randrange(len(held))
    held[chosen], held[-1] = held[-1], held[chosen]
    return held.pop()


def copies(event: Event, arrival: int, rng: random.Random) -> Iterator[tuple[int, Event]]:
    """The same event once more, as it was or with a later arrival; mostly nothing."""
    chance = rng.random()
    if chance < DUPLICATED:
        yield arrival + delay(rng, 10 * MINUTE), event
    elif chance < DUPLICATED + REDELIVERED and may_arrive_again(event, arrival):
        again = arrival + delay(rng, 10 * MINUTE)
        yield again, {**event, "arrival_timestamp": again}


def may_arrive_again(event: Event, arrival: int) -> bool:
    """Whether another arrival tells the same fact: not of e-mail, nor where a clock ahead makes arrival the time."""
    time = event.get("event_timestamp")
    return isinstance(time, int) and time <= arrival and not str(event["event_type"]).startswith("_email.")


def _without_type(event: Event) -> bytes:
    return compact({name: value for name, value in event.items() if name != "event_type"}).encode()


def _cut_short(event: Event) -> bytes:
    text = compact(event)
    return text[: len(text) * 2 // 3].encode()


def _time_as_text(event: Event) -> bytes:
    return compact({**event, "event_timestamp": "2023-04-01T10:00:00Z", "arrival_timestamp": "2023-04-01"}).encode()


def _attributes_as_list(event: Event) -> bytes:
    return compact({**event, "attributes": ["journey_id", "none"]}).encode()


def _not_an_object(event: Event) -> bytes:
    return compact([event["event_type"], event["event_timestamp"]]).encode()


def _other_encoding(event: Event) -> bytes:
    return json.dumps(event).encode("utf-16-le")  # json.dumps escapes what is not ASCII, so no byte is a line's end.


def _not_text(event: Event) -> bytes:
    return b"\xff\xfe\x80" + compact(event["event_type"]).encode() + b"\x00\xc3\x28"


BREAKAGES: tuple[Callable[[Event], bytes], ...] = (
    _without_type,
    _cut_short,
    _time_as_text,
    _attributes_as_list,
    _not_an_object,
    _other_encoding,
    _not_text,
)


def is_worth_breaking(event: Event) -> bool:
    """Whether readers look into such events; what is wrong with the others nobody would notice."""
    kind = str(event["event_type"])
    return not kind.startswith("_") or kind in READ_TYPES


def broken(event: Event, rng: random.Random) -> bytes:
    """A record that no reader can accept, made from a good one; without line ends, so it fits an archive of lines."""
    return rng.choice(BREAKAGES)(event)
