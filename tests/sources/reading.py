"""How the tests read one record: as the product does, from its bytes to its fact."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from chalicelib.facts.model import PlacedFact
from chalicelib.settings.model import Settings, UsernameAttribute
from chalicelib.sources.pinpoint import fact_of, record_of
from chalicelib.sources.records import Outcome, Rejected, Skipped
from tests.reference.records import encode

PAYLOADS = Path(__file__).parent.parent / "payloads"


def read(record: Mapping[str, object] | bytes, username_attribute: str = "username") -> Outcome:
    """The outcome of one record of the stream; raises ``Rejected`` as the product does."""
    found = record_of(record if isinstance(record, bytes) else encode(record))
    return (
        found
        if isinstance(found, Skipped)
        else fact_of(found, Settings(username_attributes=(UsernameAttribute(username_attribute),)))
    )


def fact(record: Mapping[str, object] | bytes, username_attribute: str = "username") -> PlacedFact:
    """The fact of a record that must have one."""
    outcome = read(record, username_attribute)
    assert isinstance(outcome, PlacedFact), outcome
    return outcome


def reason(record: Mapping[str, object] | bytes) -> str | None:
    """Why a record is rejected, or None where it is not."""
    try:
        read(record)
    except Rejected as rejected:
        return str(rejected)
    return None


def purchase(rest: str = "") -> bytes:
    """A purchase told in as few words as possible, with more JSON at its end."""
    more = rest.encode("utf-8", "surrogatepass")
    return (
        b'{"event_type":"purchase","event_timestamp":1774656000000,"application":{"app_id":"app"},'
        b'"client":{"client_id":"e1"}%s}' % more
    )


def without_digest(placed: PlacedFact) -> PlacedFact:
    """A fact to compare with one written by hand; what the digest covers has a table of its own."""
    return msgspec.structs.replace(placed, digest="")
