"""A settings document as it is stored: compressed JSON, in which a version is what differs from the one before it.

Versions repeat each other: of thousands, most differ in a number or in one entry of a list. So an ordinary document
may be changed thousands of times before it is too large for an item, and reading it builds the common parts once.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from chalicelib.settings.model import DayZone, Policy, Settings, UsernameAttribute, ValueSettings, Window

Json = dict[str, Any]

SCHEMA = 3
"""Of documents. The first had ``value``, now the first of ``values``; the second was JSON text with whole versions."""

LARGEST = 90_000
"""Bytes of a document, as it is stored. An item takes 100 kB here (of DynamoDB's 400), and a rebuild needs some."""

_KINDS: Mapping[str, type[msgspec.Struct]] = {
    "windows": Window,
    "policies": Policy,
    "values": ValueSettings,
    "zones": DayZone,
    "username_attributes": UsernameAttribute,
}
"""The versioned parts of a document."""


def _difference_of(kind: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """A Struct with the same fields, each of which may be missing."""
    fields = [(one.name, one.type | UnsetType, UNSET) for one in msgspec.structs.fields(kind)]
    return msgspec.defstruct(f"{kind.__name__}Difference", fields, omit_defaults=True)


_DIFFERENCES = {name: _difference_of(kind) for name, kind in _KINDS.items()}
_encoder = msgspec.json.Encoder(order="deterministic")


def encoded(settings: Settings) -> bytes:
    """The document of settings."""
    plain: Json = msgspec.to_builtins(settings, order="deterministic")
    for name in _KINDS:
        plain[name] = list(_differences(plain[name]))
    return zlib.compress(_encoder.encode(plain), level=9)


@lru_cache(maxsize=64)
def decoded(document: bytes) -> Settings:
    """The settings in a document. The same one is decoded once in a function's lifetime, of the last 64."""
    plain: Json = msgspec.json.decode(zlib.decompress(document))
    versions = {name: tuple(_versions(name, plain.pop(name, ()))) for name in _KINDS}
    return msgspec.structs.replace(msgspec.convert(plain, Settings), **versions)


def migrated(document: str, schema: int) -> Settings:
    """The settings in a document of a former schema."""
    plain: Json = msgspec.json.decode(document)
    if schema == 1 and "value" in plain:
        plain["values"] = [plain["value"]]
    if name := plain.get("username_attribute"):
        plain["username_attributes"] = [{"name": name}]
    return msgspec.convert(plain, Settings)


def _order(version: Any) -> tuple[int, int]:
    """Copies that a change which reaches back makes for a generation stand together."""
    return (version.get("since_generation", 0), version.get("effective_from", 0))


def _differences(versions: Sequence[Json]) -> Iterator[Json]:
    former: Json = {}
    for one in sorted(versions, key=_order):
        yield {name: value for name, value in one.items() if name not in former or former[name] != value}
        former = one


def _versions(name: str, differences: Sequence[Json]) -> list[Any]:
    """In the order that the settings have them."""
    found: list[Any] = []
    for one in differences:
        given = msgspec.structs.asdict(msgspec.convert(one, _DIFFERENCES[name]))
        fields = {field: value for field, value in given.items() if value is not UNSET}
        found.append(msgspec.structs.replace(found[-1], **fields) if found else _KINDS[name](**fields))
    return sorted(found, key=lambda it: (getattr(it, "effective_from", 0), getattr(it, "since_generation", 0)))
