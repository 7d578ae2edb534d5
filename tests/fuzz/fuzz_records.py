"""Fuzzes the handlers that take what others write: ``ingest_events`` and ``tag_users``, real down to the calls of AWS.

Whatever comes, no exception leaves a handler, every input is counted as exactly one thing, what is quarantined is
kept byte for byte, and every fact can be stored, read back and projected.
"""

from __future__ import annotations

import base64
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast
from unittest.mock import patch

import msgspec

from chalicelib import functions, wiring
from chalicelib.attribution.stamps import stamp_of
from chalicelib.attribution.touches import Touch, custom_interaction, touch_of
from chalicelib.attribution.value import money, value_of
from chalicelib.facts.items import from_item
from chalicelib.facts.model import Event, Interaction, Link, PlacedFact, Send, Step, encode_fact
from chalicelib.ingestion import Ingestion
from chalicelib.keys import ViewKeys, fact_key, settings_key
from chalicelib.projection.views import Campaign, Credit, campaign_item, credit_item, touch_item
from chalicelib.quarantine import Quarantine, from_lines, kinds_of
from chalicelib.settings.model import Settings
from chalicelib.settings.store import SettingsStore
from chalicelib.tables import Table, from_wire, to_wire
from chalicelib.times import day_of, to_iso
from tests.fuzz.fakes import Bucket, FactsClient, ViewsClient, check_item, settings_of
from tests.fuzz.mutations import T
from tests.support.clock import SetClock

Json = dict[str, Any]

STREAM = ("Facts", "Duplicates", "Skipped", "Quarantined", "Returned")
"""One of these each record is."""


class Found(AssertionError):
    """A fault, with the input that shows it."""


class Fuzzer:
    """The handlers on an AWS in memory, and what came of all inputs so far."""

    def __init__(self) -> None:
        self.stream: Counter[str] = Counter()
        self.steps: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self._facts = FactsClient()
        self._bucket = Bucket()
        self._counted: Counter[str] = Counter()
        self._sequence = 0
        self._started = time.monotonic()
        clock = SetClock(T + 3_600_000)
        facts = Table(cast("Any", self._facts), "facts")
        settings = SettingsStore(Table(cast("Any", ViewsClient()), "views"))
        self._ingestion = Ingestion(facts, settings, Quarantine(cast("Any", self._bucket), "bucket"), clock)

    @contextmanager
    def running(self) -> Iterator[None]:
        """The handlers use this AWS, and tell what they count."""
        with (
            patch.object(wiring, "ingestion", lambda: self._ingestion),
            patch.object(functions, "count", lambda **counts: self._counted.update(counts)),
        ):
            yield

    @property
    def inputs(self) -> int:
        return self.stream["RecordsIn"] + self.steps["payloads"]

    def __str__(self) -> str:
        seconds = time.monotonic() - self._started
        stream = ", ".join(f"{self.stream[name]:,} {name}" for name in ("RecordsIn", *STREAM))
        steps = ", ".join(f"{count:,} {name}" for name, count in self.steps.items())
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in self.kinds.most_common())
        rate = f"{self.inputs:,} inputs in {seconds:.0f} s, {self.inputs / seconds:,.0f} a second"
        return f"{rate}\nstream: {stream}\nsteps: {steps}\nquarantined: {kinds}"

    # --- the stream ---

    def records(self, batch: Sequence[bytes | None]) -> None:
        """One delivery to ``ingest_events``; None is a record whose data is broken on its way.

        Raises Found, with the first record that shows the fault alone, or the whole batch where none does.
        """
        raw = [self._raw(data) for data in batch]
        try:
            self._ingest(raw, batch)
        except Exception as error:
            for data in batch:
                with _blaming(data):
                    self._ingest([self._raw(data)], [data])
            raise Found(f"only together: {batch!r}") from error

    def _ingest(self, raw: list[Json], batch: Sequence[bytes | None]) -> None:
        counted = self._call(lambda: functions.ingest({"Records": raw}), {"batchItemFailures": []})
        assert counted["RecordsIn"] == len(batch) == sum(counted[name] for name in STREAM), counted
        kept = self._quarantined()
        assert len(kept) == counted["Quarantined"]
        here = Counter(data for data in batch if data is not None)
        unknown = Counter(kept) - here
        assert sum(unknown.values()) == sum(data is None for data in batch), "not byte for byte"
        self._check_facts(counted["Facts"])
        self.stream += counted

    def _raw(self, data: bytes | None) -> Json:
        self._sequence += 1
        broken: list[object] = ["$", "abc", None, 5, "é", ["x"]]
        text = broken[self._sequence % len(broken)] if data is None else base64.b64encode(data).decode()
        return {
            "eventID": f"shardId-000000000000:{self._sequence:056d}",
            "kinesis": {"sequenceNumber": f"{self._sequence:056d}", "partitionKey": "1", "data": text},
        }

    # --- journey steps ---

    def step(self, payload: object) -> None:
        """One call of ``tag_users``. Raises Found."""
        with _blaming(payload):
            endpoints = payload.get("Endpoints") if isinstance(payload, Mapping) else None
            names = list(endpoints) if isinstance(endpoints, Mapping) else []
            counted = self._call(lambda: _answered(payload, names), None)
            assert counted["EndpointsTagged"] + counted["EndpointsNotTagged"] == len(names)
            kept = self._quarantined()
            assert len(kept) == counted["Quarantined"] <= 1
            assert all(json.loads(data) == payload or payload != payload for data in kept)  # noqa: PLR0124 - NaN
            application = payload.get("ApplicationId") if isinstance(payload, Mapping) else None
            # All that is not tagged is quarantined, but for what is past retention.
            if not kept and counted["EndpointsNotTagged"]:
                assert _settings(str(application)).retention_days is not None
            self._check_facts(counted["EndpointsTagged"])
            self.steps += Counter(payloads=1) + counted

    # --- what both share ---

    def _call(self, handler: Callable[[], object], expected: object) -> Counter[str]:
        self._counted.clear()
        self._bucket.new.clear()
        self._facts.new.clear()
        assert handler() == expected
        return Counter(self._counted)

    def _quarantined(self) -> list[bytes]:
        records = [record for content in self._bucket.new.values() for record in from_lines(content)]
        self.kinds.update(kind for record in records for kind in kinds_of(record.reason))
        return [record.received for record in records]

    def _check_facts(self, expected: int) -> None:
        assert len(self._facts.new) == expected
        for wire in self._facts.new:
            item = from_wire(wire)
            placed = from_item(item)
            assert fact_key(placed) == (item["pk"], item["sk"])
            assert encode_fact(placed.fact) == item["fact"]
            check_projection(placed, _settings(placed.application))


def _answered(payload: object, names: list[str]) -> None:
    answer = functions.tag(cast("Any", payload), "fuzz")
    assert list(answer) == names
    json.dumps(answer)


def _settings(application: str) -> Settings:
    return settings_of(settings_key(application).pk)


@contextmanager
def _blaming(given: object) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise Found(f"{type(error).__name__}: {error}\nthe input: {given!r:.5000}") from error


def check_projection(placed: PlacedFact, settings: Settings) -> None:
    """What the projection makes of a fact without looking at anything else; each view must fit its item."""
    keys, fact = ViewKeys(placed.application, 0), placed.fact
    interaction: Interaction | None = None
    if isinstance(fact, Event):
        interaction = custom_interaction(fact, settings)
        _check_event(keys, placed, fact, settings)
    elif isinstance(fact, Step):
        interaction = Interaction(fact.time, "journey.step", fact.channel, fact.journey)
    elif isinstance(fact, Interaction):
        interaction = fact
    if isinstance(fact, Link | Send | Step) and fact.owner:
        key = keys.link(placed.identity, fact.time, fact.owner)
        check_item(to_wire({"pk": key.pk, "sk": key.sk}))
    touch = touch_of(interaction, placed.digest, settings) if interaction else None
    if touch:
        check_item(to_wire(touch_item(keys, placed.identity, touch)))
        check_item(to_wire(campaign_item(keys, placed.identity, Campaign(touch, open=True))))
        assert to_iso(touch.time) <= to_iso(touch.until)


def _check_event(keys: ViewKeys, placed: PlacedFact, event: Event, settings: Settings) -> None:
    value = value_of(event, settings.value_at(event.time))
    if value:
        assert money(value.amount)
        assert msgspec.json.encode(value.currency)
    stamp = stamp_of(event)
    if stamp is not None:
        key = keys.stamped_event(stamp, placed.identity, event.time, placed.digest)
        check_item(to_wire({"pk": key.pk, "sk": key.sk}))
    touch = Touch(event.time, "email.click", "email", "j" * 256, event.time + 1, placed.digest)
    credit = Credit(touch.journey, event.time, event.type, placed.digest, value, touch)
    check_item(to_wire(credit_item(keys, placed.identity, credit)))
    name = f"v|{value.currency if value else ''}|{event.type}"
    tally = keys.tally(0, day_of(event.time), touch.journey)
    check_item(to_wire({"pk": tally.pk, "sk": tally.sk, name: value.amount if value else 1}))
