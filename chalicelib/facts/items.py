"""Facts as items of the facts table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from chalicelib.facts.model import Event, Identity, PlacedFact, decode_fact, encode_fact
from chalicelib.keys import Key, fact_key, fact_partition, fact_range, parse_fact_key
from chalicelib.settings.model import Settings
from chalicelib.tables import Item, Table

SCHEMA = 1
"""Of a fact's item: an item says it only where it is another, so that those of the first stay as they are."""

EVERYTHING_MOVABLE = (fact_range("e", 0, None)[0], fact_range("i", 0, None)[1])


def to_item(placed: PlacedFact, settings: Settings) -> Item:
    """The item of a fact: a pure function of it and of the retention, so that storing a fact again changes nothing."""
    key = fact_key(placed)
    item: Item = {"pk": key.pk, "sk": key.sk, "fact": encode_fact(placed.fact)}
    if placed.gone:
        item["gone"] = True
    return expiring(item, settings.expiry_of(placed.fact.time))


def expiring(item: Item, expiry: int | None) -> Item:
    """An item that DynamoDB deletes some time after ``expiry`` (seconds UTC; None: never)."""
    return item if expiry is None else {**item, "ttl": expiry}


def from_item(item: Mapping[str, Any]) -> PlacedFact:
    """The fact in an item.

    Raises
    ------
    ValueError
        It is no fact's item, or one of a later version of the application.
    """
    if (schema := int(item.get("schema", SCHEMA))) > SCHEMA:
        raise ValueError(f"a fact of schema {schema}, which a later version wrote")
    application, identity, digest, via = parse_fact_key(Key(item["pk"], item["sk"]))
    return PlacedFact(
        application=application,
        identity=identity,
        digest=digest,
        fact=decode_fact(item["fact"]),
        via=via,
        gone=bool(item.get("gone", False)),
    )


def facts_between(
    facts: Table,
    application: str,
    identity: Identity,
    cls: str,
    start: int,
    end: int | None,
    *,
    descending: bool = False,
    page: int | None = None,
    from_key: str = "",
) -> Iterator[PlacedFact]:
    """Facts of one class that an identity's partition holds, ``start <= time < end``, in order of time, from a sort key
    on; moved ones included.
    """
    first, last = fact_range(cls, start, end)
    first = max(first, from_key)
    if first > last:
        return
    for item in facts.query(fact_partition(application, identity), first, last, descending=descending, page=page):
        yield from_item(item)


def events_between(
    facts: Table,
    application: str,
    identity: Identity,
    start: int,
    end: int | None,
    *,
    descending: bool = False,
    page: int | None = None,
    from_key: str = "",
) -> Iterator[tuple[PlacedFact, Event]]:
    """Events of an identity, ``start <= time < end``, each once, without those that a link moved elsewhere."""
    told = ""
    found = facts_between(
        facts, application, identity, "e", start, end, descending=descending, page=page, from_key=from_key
    )
    for placed in found:
        # Copies of one event, by its endpoint and by its UserId, stand next to each other.
        if isinstance(placed.fact, Event) and not placed.gone and placed.digest != told:
            told = placed.digest
            yield placed, placed.fact


def movable_between(
    facts: Table,
    application: str,
    identity: Identity,
    start: int,
    end: int | None,
    *,
    page: int | None = None,
    from_key: str = "",
) -> Iterator[PlacedFact]:
    """What a link of an alias moves: its events and interactions, from a sort key on; those already gone included."""
    partition = fact_partition(application, identity)
    # Events stand before interactions, and nothing stands between them: all of both are one range.
    ranges = [EVERYTHING_MOVABLE] if (start, end) == (0, None) else [fact_range(cls, start, end) for cls in ("e", "i")]
    for first, last in ranges:
        if max(first, from_key) <= last:
            for item in facts.query(partition, max(first, from_key), last, page=page):
                yield from_item(item)
