"""A table in memory, in DynamoDB's own JSON: for what would take hours through an emulator."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

from chalicelib.attribution.value import EXACT
from chalicelib.keys import LAST, Key
from chalicelib.tables import Item, Operation, Table, Wire, from_wire, key_of


class MemoryTable(Table):
    """Answers what reports and tallies ask a table for. Conditions hold: nobody else writes."""

    def __init__(self) -> None:
        self.name = "memory"
        self._partitions: dict[str, dict[str, Wire]] = defaultdict(dict)

    def get(self, key: Key) -> Item | None:
        found = self._partitions[key.pk].get(key.sk)
        return from_wire(found) if found else None

    def get_many(self, keys: Iterable[Key]) -> dict[Key, Item]:
        return {key: item for key in keys if (item := self.get(key))}

    def query_wire(self, pk: str, first: str = "", last: str | None = None, *_: Any, **__: Any) -> Iterator[Wire]:
        sort_keys = sorted(self._partitions[pk])
        low, high = bisect_left(sort_keys, first), bisect_right(sort_keys, LAST if last is None else last)
        return (dict(self._partitions[pk][one]) for one in sort_keys[low:high])

    def transact(self, operations: Sequence[Operation]) -> None:
        for kind, request in operations:
            if kind == "Put":
                key = key_of(from_wire({name: request["Item"][name] for name in ("pk", "sk")}))
                self._partitions[key.pk][key.sk] = request["Item"]
            elif kind == "Update":
                self._add(request)
            else:
                raise NotImplementedError(kind)

    def _add(self, request: Any) -> None:
        pk, sk = (request["Key"][name]["S"] for name in ("pk", "sk"))
        item = self._partitions[pk].setdefault(sk, dict(request["Key"]))
        values = request["ExpressionAttributeValues"].values()
        for name, delta in zip(request["ExpressionAttributeNames"].values(), values, strict=True):
            if name in item:
                total = EXACT.add(Decimal(item[name]["N"]), Decimal(delta["N"]))
                item[name] = {"N": f"{total:f}"}
            else:
                item[name] = delta

    def decoded(self) -> MemoryTable:
        """The same items, one after the other in memory as decoded answers are: scattered ones take
        a report twice as long.
        """
        copy = MemoryTable()
        copy._partitions |= json.loads(json.dumps(self._partitions))
        return copy

    def items(self) -> Iterator[Wire]:
        """All items."""
        for partition in self._partitions.values():
            yield from partition.values()


def stored_bytes(value: Any) -> int:
    """Bytes of an item, or of a value in DynamoDB's JSON, as DynamoDB counts them."""
    if isinstance(value, dict) and len(value) == 1:
        ((kind, inner),) = value.items()
        if kind == "S":
            return len(inner.encode())
        if kind == "N":
            # One byte for each two significant digits, one for the exponent, one for a sign.
            digits = Decimal(inner).normalize().as_tuple()
            return (len(digits.digits) + 1) // 2 + 1 + digits.sign
        if kind == "L":
            return 3 + sum(1 + stored_bytes(one) for one in inner)
        if kind == "M":
            return 3 + sum(1 + len(name.encode()) + stored_bytes(one) for name, one in inner.items())
        raise NotImplementedError(kind)
    return sum(len(name.encode()) + stored_bytes(one) for name, one in value.items())
