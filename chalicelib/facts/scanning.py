"""All facts of an application, partition by partition: for questions that no view answers.

There is no index over them, so this reads the whole table, whoever's facts stand in it. It can stop after any page and
go on later from where it stood.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from chalicelib.facts.items import from_item
from chalicelib.facts.model import Identity, PlacedFact
from chalicelib.keys import Key, fact_partition
from chalicelib.tables import Item, Table, from_wire, key_of, key_to_wire

MOST_BYTES = 50_000_000
"""Of facts of a partition that are held until its end is read."""


class Page(NamedTuple):
    """Partitions that were read to their ends.

    Attributes
    ----------
    too_large
        Facts of partitions that have more than `MOST_BYTES`, part by part.
    left_out
        How many partitions turned out to be so large in this page.
    unfinished
        Whether more of the last one of these follows: the reader must not stop here.
    resume
        Where to go on; None: there is no more. What stands before it was told in this page or in one before.
    looked_at
        How many facts were read for it, of all applications.
    """

    partitions: list[list[PlacedFact]]
    resume: Key | None
    looked_at: int
    too_large: list[list[PlacedFact]]
    left_out: int
    unfinished: bool


def scanned(
    facts: Table, application: str, ranges: Sequence[tuple[str, str]], after: Key | None, limit: int | None = None
) -> Iterator[Page]:
    """The facts whose sort keys lie in one of the ranges, from ``after`` on; each partition's together.

    What has one partition key stands together in a table and in a scan. ``limit`` bounds what one call reads.
    """
    request = _request(facts.name, application, ranges)
    if limit is not None:
        request["Limit"] = limit
    resume = after
    held: list[Item] = []
    oversized = ""
    while True:
        if after is not None:
            request["ExclusiveStartKey"] = key_to_wire(after)
        answer = facts.client.scan(**request)
        last = answer.get("LastEvaluatedKey")
        after = key_of(from_wire(last)) if last else None
        held += [from_wire(one) for one in answer["Items"]]
        whole = [list(items) for _, items in groupby(held, key=lambda one: str(one["pk"]))]
        # The last one may go on in the next page, unless that begins with another partition for certain.
        goes_on = bool(whole) and after is not None and after.pk == whole[-1][0]["pk"]
        ended, held = (whole[:-1], whole[-1]) if goes_on else (whole, [])
        parts: list[list[Item]] = []
        left_out = 0
        for items in whole:
            if items[0]["pk"] == oversized or _bytes(items) > MOST_BYTES:
                left_out += items[0]["pk"] != oversized
                oversized = items[0]["pk"]
                parts.append(items)
        told = {items[0]["pk"] for items in parts}
        unfinished = after is not None and after.pk == oversized
        if not goes_on and not unfinished:
            resume = after
        elif ended:
            resume = key_of(ended[-1][-1])
        yield Page(
            partitions=[[from_item(one) for one in items] for items in ended if items[0]["pk"] not in told],
            resume=resume,
            looked_at=answer["ScannedCount"],
            too_large=[[from_item(one) for one in items] for items in parts],
            left_out=left_out,
            unfinished=unfinished,
        )
        if unfinished:
            held = []
        if after is None:
            return


def _bytes(items: Sequence[Item]) -> int:
    return sum(len(one["fact"]) for one in items)


def _request(table: str, application: str, ranges: Sequence[tuple[str, str]]) -> dict[str, Any]:
    prefix = fact_partition(application, Identity("n", "")).removesuffix("n#")
    within = " OR ".join(f"sk BETWEEN :first{at} AND :last{at}" for at in range(len(ranges)))
    values: dict[str, Any] = {":prefix": {"S": prefix}}
    for at, (first, last) in enumerate(ranges):
        values |= {f":first{at}": {"S": first}, f":last{at}": {"S": last}}
    return {
        "TableName": table,
        "FilterExpression": f"begins_with(pk, :prefix) AND ({within})",
        "ExpressionAttributeValues": values,
        "ConsistentRead": True,
    }
