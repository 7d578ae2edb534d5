"""R11: the stamp on an event."""

from __future__ import annotations

import pytest

from chalicelib.attribution.stamps import LONGEST_STAMP, stamp_of
from chalicelib.facts.model import Event

STAMPS: list[tuple[dict[str, str], str | None]] = [
    ({"campaign": "Spring sale"}, "Spring sale"),
    ({"Campaign": "Spring sale"}, "Spring sale"),
    ({"CAMPAIGN": "Spring sale"}, "Spring sale"),
    ({"campaign": " Spring sale"}, " Spring sale"),  # a name is what it is
    ({}, None),
    ({"campaign": ""}, None),  # what a client reads from Cognito after the window
    ({"campaign": "  "}, None),
    ({"campaigns": "x", "my_campaign": "y"}, None),
    # Of several the first by name, whatever their order in the record.
    ({"campaign": "a", "CAMPAIGN": "b"}, "b"),
    ({"CAMPAIGN": "b", "campaign": "a"}, "b"),
    ({"CAMPAIGN": "", "campaign": "a"}, "a"),
    # It stands in keys. Catches: an event that makes its shard fail for ever.
    ({"campaign": "x" * LONGEST_STAMP}, "x" * LONGEST_STAMP),
    ({"campaign": "x" * (LONGEST_STAMP + 1)}, None),
    ({"campaign": "é" * LONGEST_STAMP}, None),
]


@pytest.mark.parametrize(("attributes", "stamp"), STAMPS)
def test_the_stamp_is_the_campaign_attribute_whatever_its_case(attributes: dict[str, str], stamp: str | None) -> None:
    assert stamp_of(Event(0, "purchase", attributes)) == stamp
