"""``ingest_events`` and ``tag_users``: records become facts.

No read of facts, no condition: writing a fact twice changes nothing.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from chalicelib.facts.items import to_item
from chalicelib.facts.model import PlacedFact
from chalicelib.keys import Key, fact_key
from chalicelib.quarantine import Quarantine, Quarantined, quarantined
from chalicelib.settings import Settings
from chalicelib.settings_store import SettingsStore
from chalicelib.sources.journey_step import application_of, steps_of
from chalicelib.sources.pinpoint import Record, fact_of, record_of
from chalicelib.sources.records import Rejected, Skipped, checked_id
from chalicelib.tables import Starved, Table
from chalicelib.times import DAY_MS, Clock

SOURCE = "kinesis"

LONGEST_ATTRIBUTE = 128
"""Pinpoint's limit for the value of an attribute that a step answers."""


class Ingested(NamedTuple):
    """What became of a batch.

    Attributes
    ----------
    failed
        Sequence number of the first record whose fact the table did not take, or None. Everything before it is stored.
    """

    facts: int
    skipped: Counter[str]
    quarantined: int
    failed: str | None


class Ingestion:
    """Turns batches of raw records into facts."""

    def __init__(self, facts: Table, settings: SettingsStore, quarantine: Quarantine, clock: Clock) -> None:
        self._facts = facts
        self._settings = settings
        self._quarantine = quarantine
        self._clock = clock

    def ingest(self, records: Sequence[Mapping[str, Any]]) -> Ingested:
        """Store the facts of a batch of Kinesis records, and set aside those that are wrong.

        Raises
        ------
        ClientError, BotoCoreError
            AWS did not take it: the whole batch must come again.
        """
        batch = _Sorted(records)
        settings = self._settings.get_many(one.record.application.app_id for one in batch.useful)
        facts: dict[Key, PlacedFact] = {}
        origin: dict[Key, str] = {}
        for one in batch.useful:
            with batch.rejecting(one):
                applied = settings[one.record.application.app_id]
                outcome = fact_of(one.record, applied.username_attribute)
                if isinstance(outcome, PlacedFact) and self._is_past_retention(outcome, applied):
                    outcome = Skipped("past retention")
                if isinstance(outcome, Skipped):
                    batch.skipped[outcome.kind] += 1
                else:
                    key = fact_key(outcome)
                    facts[key] = outcome
                    origin.setdefault(key, one.sequence)
        failed = self._store(facts, settings, origin)
        rejected = sorted((one for one in batch.rejected if _is_before(one, failed)), key=lambda one: int(one.sequence))
        self._quarantine.keep(rejected)
        return Ingested(len(facts), batch.skipped, len(rejected), failed)

    def tag(self, payload: Mapping[str, Any], invocation: str) -> Answer:
        """Store the touches of a journey step's endpoints; the answer that Pinpoint expects, by endpoint.

        A payload of no journey is quarantined, and its endpoints are answered as not tagged.

        Raises
        ------
        Starved, ClientError, BotoCoreError
            AWS did not take it: the step fails for these endpoints, and may be invoked again.
        """
        try:
            settings = self._settings.get(application_of(payload))
            passed = steps_of(payload, settings.username_attribute, self._clock.now())
        except Rejected as reason:
            self._quarantine_step(payload, {"": str(reason)}, invocation)
            return _answer(payload, "", ())
        kept = {
            endpoint: fact for endpoint, fact in passed.facts.items() if not self._is_past_retention(fact, settings)
        }
        self._facts.put_many([to_item(fact, settings) for fact in kept.values()])
        if passed.rejected:
            self._quarantine_step(payload, passed.rejected, invocation)
        return _answer(payload, passed.journey, kept)

    def _is_past_retention(self, placed: PlacedFact, settings: Settings) -> bool:
        days = settings.retention_days
        return days is not None and placed.fact.time < self._clock.now() - days * DAY_MS

    def _store(
        self, facts: Mapping[Key, PlacedFact], settings: Mapping[str, Settings], origin: Mapping[Key, str]
    ) -> str | None:
        try:
            self._facts.put_many([to_item(fact, settings[fact.application]) for fact in facts.values()])
        except Starved as starved:
            return min((origin[key] for key in starved.keys), key=int)
        return None

    def _quarantine_step(self, payload: Mapping[str, Any], reasons: Mapping[str, str], invocation: str) -> None:
        # Lambda passes halves of characters on, and JSON can name them.
        data = json.dumps(payload).encode()
        sequence = hashlib.blake2b(data, digest_size=16).hexdigest()
        reason = "; ".join(f"{endpoint}: {why}" if endpoint else why for endpoint, why in reasons.items())
        reason = reason.encode(errors="backslashreplace").decode()
        self._quarantine.keep(
            [quarantined("journey-step", "steps", sequence, f"{reason} (invocation {invocation})", data)]
        )


def _is_before(one: Quarantined, failed: str | None) -> bool:
    """Whether a rejected record does not come again with the batch from its ``failed`` record on."""
    return failed is None or int(one.sequence) < int(failed)


Answer = dict[str, dict[str, dict[str, str]]]
"""What Pinpoint takes from a step: attributes of the event, by endpoint."""


def _answer(payload: Mapping[str, Any], journey: str, tagged: Collection[str]) -> Answer:
    endpoints = payload.get("Endpoints")
    return {
        endpoint: {
            "EventAttributes": {"journey_id": journey[:LONGEST_ATTRIBUTE], "tagged": str(endpoint in tagged).lower()}
        }
        for endpoint in (endpoints if isinstance(endpoints, Mapping) else ())
    }


class _Useful(NamedTuple):
    record: Record
    shard: str
    sequence: str
    data: bytes


class _Sorted:
    """A batch of raw records, sorted into those of use, of no use, and wrong ones.

    Nothing that a record holds stops its neighbours.
    """

    def __init__(self, records: Sequence[Mapping[str, Any]]) -> None:
        self.useful: list[_Useful] = []
        self.skipped: Counter[str] = Counter()
        self.rejected: list[Quarantined] = []
        for raw in records:
            self._sort(raw)

    def _sort(self, raw: Mapping[str, Any]) -> None:
        # Lambda tells the shard only inside the event's id.
        shard, sequence = str(raw["eventID"]).partition(":")[0], str(raw["kinesis"]["sequenceNumber"])
        text = raw["kinesis"].get("data")
        data = str(text).encode(errors="replace")
        try:
            data = _decoded(text)
            record = record_of(data)
            if isinstance(record, Skipped):
                self.skipped[record.kind] += 1
            else:
                checked_id(record.application.app_id, "application.app_id")
                self.useful.append(_Useful(record, shard, sequence, data))
        except Rejected as reason:
            self.rejected.append(quarantined(SOURCE, shard, sequence, str(reason), data))

    @contextmanager
    def rejecting(self, one: _Useful) -> Iterator[None]:
        try:
            yield
        except Rejected as reason:
            self.rejected.append(quarantined(SOURCE, one.shard, one.sequence, str(reason), one.data))


def _decoded(text: object) -> bytes:
    if not isinstance(text, str | bytes):
        raise Rejected("no data")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Rejected(f"not base64: {error}") from error
