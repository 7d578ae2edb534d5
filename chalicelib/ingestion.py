"""``ingest_events`` and ``tag_users``: records become facts.

No read of facts, no condition: writing a fact twice changes nothing.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from typing import Any, NamedTuple

from chalicelib.facts.items import to_item
from chalicelib.facts.model import PlacedFact
from chalicelib.keys import Key, fact_key
from chalicelib.quarantine import STEP_SOURCE, Quarantine, Quarantined, quarantined
from chalicelib.settings.model import Settings
from chalicelib.settings.store import SettingsStore
from chalicelib.sources.journey_step import application_of, steps_of
from chalicelib.sources.pinpoint import fact_of, record_of
from chalicelib.sources.records import Rejected, Skipped, checked_id
from chalicelib.sources.shapes import Record
from chalicelib.tables import Starved, Table
from chalicelib.times import DAY_MS, Clock

SOURCE = "kinesis"

MOST_MARKED = 10_000
"""Applications that a function remembers, however many ids the records of its lifetime name."""

LONGEST_ATTRIBUTE = 128
"""Pinpoint's limit for the value of an attribute that a step answers."""


class Ingested(NamedTuple):
    """What became of the records of a batch; each is in exactly one of the counts.

    Attributes
    ----------
    facts
        Distinct ones that were stored.
    duplicates
        Records that told a fact which an earlier one of the batch had told.
    skipped
        Of no use, by their kind.
    returned
        From ``failed`` on: they come again, and count then.
    failed
        Sequence number of the first record whose fact the table did not take, or None. Everything before it is stored.
    """

    facts: int
    duplicates: int
    skipped: Counter[str]
    quarantined: int
    returned: int
    failed: str | None


Answer = dict[str, dict[str, dict[str, str]]]
"""What Pinpoint takes from a step: attributes of the event, by endpoint."""


class Tagged(NamedTuple):
    """What became of a step: the answer that Pinpoint expects, and how many payloads were quarantined (0 or 1)."""

    answer: Answer
    quarantined: int


class Ingestion:
    """Turns batches of raw records into facts."""

    def __init__(self, facts: Table, settings: SettingsStore, quarantine: Quarantine, clock: Clock) -> None:
        self._facts = facts
        self._settings = settings
        self._quarantine = quarantine
        self._clock = clock
        self._marked: set[str] = set()
        """Applications of which it is noted that they have facts."""

    def ingest(self, records: Sequence[Mapping[str, Any]]) -> Ingested:
        """Store the facts of a batch of Kinesis records, and set aside those that are wrong.

        Raises
        ------
        ClientError, BotoCoreError
            AWS did not take it: the whole batch must come again.
        """
        batch = _Sorted(records)
        applications = {one.record.application.app_id for one in batch.useful}
        self._mark(applications)
        settings = self._settings.get_many(applications)
        facts: dict[Key, PlacedFact] = {}
        origin: dict[Key, str] = {}
        repeated: list[str] = []
        for one in batch.useful:
            with batch.rejecting(one):
                applied = settings[one.record.application.app_id]
                outcome = fact_of(one.record, applied)
                if isinstance(outcome, PlacedFact) and self._is_past_retention(outcome, applied):
                    outcome = Skipped("past retention")
                if isinstance(outcome, Skipped):
                    batch.skipped.append((one.sequence, outcome.kind))
                elif (key := fact_key(outcome)) in facts:
                    repeated.append(one.sequence)
                else:
                    facts[key] = outcome
                    origin[key] = one.sequence
        failed = self._store(facts, settings, origin)
        rejected = sorted(
            (one for one in batch.rejected if _is_before(one.sequence, failed)), key=lambda one: int(one.sequence)
        )
        self._quarantine.keep(rejected)
        return Ingested(
            facts=sum(_is_before(sequence, failed) for sequence in origin.values()),
            duplicates=sum(_is_before(sequence, failed) for sequence in repeated),
            skipped=Counter(kind for sequence, kind in batch.skipped if _is_before(sequence, failed)),
            quarantined=len(rejected),
            returned=sum(not _is_before(sequence_of(raw), failed) for raw in records),
            failed=failed,
        )

    def tag(self, payload: object, invocation: str) -> Tagged:
        """Store the touches of a journey step's endpoints.

        A payload of no journey is quarantined, and its endpoints are answered as not tagged.

        Raises
        ------
        Starved, ClientError, BotoCoreError
            AWS did not take it: the step fails for these endpoints, and may be invoked again.
        """
        try:
            if not isinstance(payload, Mapping):
                raise Rejected("not of the documented shape: no object")
            application = application_of(payload)
            self._mark({application})
            settings = self._settings.get(application)
            passed = steps_of(payload, settings, self._clock.now())
        except Rejected as reason:
            self._quarantine_step(payload, {"": str(reason)}, invocation)
            return Tagged(_answer(payload, "", ()), quarantined=1)
        kept = {
            endpoint: fact for endpoint, fact in passed.facts.items() if not self._is_past_retention(fact, settings)
        }
        self._facts.put_many([to_item(fact, settings) for fact in kept.values()])
        if passed.rejected:
            self._quarantine_step(payload, passed.rejected, invocation)
        return Tagged(_answer(payload, passed.journey, kept), quarantined=int(bool(passed.rejected)))

    def _mark(self, applications: Set[str]) -> None:
        """Note that applications have facts, before the settings are read by which these are made."""
        if new := applications - self._marked:
            self._settings.mark_facts(new, self._clock.now())
            self._marked = (self._marked if len(self._marked) < MOST_MARKED else set()) | new

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

    def _quarantine_step(self, payload: object, reasons: Mapping[str, str], invocation: str) -> None:
        # Lambda passes halves of characters on, and JSON can name them.
        data = json.dumps(payload).encode()
        sequence = hashlib.blake2b(data, digest_size=16).hexdigest()
        reason = "; ".join(f"{endpoint}: {why}" if endpoint else why for endpoint, why in reasons.items())
        reason = reason.encode(errors="backslashreplace").decode()
        self._quarantine.keep(
            [quarantined(STEP_SOURCE, "steps", sequence, f"{reason} (invocation {invocation})", data)]
        )


def _is_before(sequence: str, failed: str | None) -> bool:
    """Whether a record does not come again with the batch from its ``failed`` record on."""
    return failed is None or int(sequence) < int(failed)


def sequence_of(raw: Mapping[str, Any]) -> str:
    """The sequence number of a record of the stream."""
    return str(raw["kinesis"]["sequenceNumber"])


def _answer(payload: object, journey: str, tagged: Collection[str]) -> Answer:
    endpoints = payload.get("Endpoints") if isinstance(payload, Mapping) else None
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
        self.skipped: list[tuple[str, str]] = []
        self.rejected: list[Quarantined] = []
        for raw in records:
            self._sort(raw)

    def _sort(self, raw: Mapping[str, Any]) -> None:
        # Lambda tells the shard only inside the event's id.
        shard, sequence = str(raw["eventID"]).partition(":")[0], sequence_of(raw)
        text = raw["kinesis"].get("data")
        data = str(text).encode(errors="replace")
        try:
            data = _decoded(text)
            record = record_of(data)
            if isinstance(record, Skipped):
                self.skipped.append((sequence, record.kind))
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
