"""What a change of the views says about a user's campaign (R7)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from chalicelib.journeys.registry import is_named
from chalicelib.keys import Key, parse_journey_key, parse_user_partition
from chalicelib.projection.views import campaign_from
from chalicelib.tables import from_wire


class CampaignChange(NamedTuple):
    """A user's campaign is another one now, in one generation of the views: the journey's id, or None for blank."""

    application: str
    generation: int
    user_name: str
    journey: str | None


def campaign_change(record: Mapping[str, Any]) -> CampaignChange | None:
    """What a change record of the views says about what stands in Cognito, or None where it says nothing.

    Only users with a Cognito user name have an attribute; a touch that leaves the same journey open changes
    nothing there. A rebuild says by ``told`` that a campaign is to be written though it stays the same.
    """
    change = record["dynamodb"]
    if change["Keys"]["sk"]["S"] != "campaign" or "NewImage" not in change:
        return None
    parsed = parse_user_partition(change["Keys"]["pk"]["S"])
    if parsed is None:
        return None
    application, generation, identity = parsed
    if identity.kind != "n":
        return None
    after, before = from_wire(change["NewImage"]), from_wire(change.get("OldImage", {}))
    journey = journey_in(after)
    if journey == journey_in(before) and after.get("told") == before.get("told"):
        return None
    return CampaignChange(application, generation, identity.name, journey)


def named_journey(record: Mapping[str, Any]) -> tuple[str, str] | None:
    """Application and id of a journey that was named just now, if that is what a change record of the views is about:
    campaigns may wait for it.
    """
    change = record["dynamodb"]
    key = parse_journey_key(Key(change["Keys"]["pk"]["S"], change["Keys"]["sk"]["S"]))
    if key is None or "NewImage" not in change or not is_named(from_wire(change["NewImage"])):
        return None
    return None if is_named(from_wire(change.get("OldImage", {}))) else key


def new_journey(record: Mapping[str, Any]) -> tuple[str, str] | None:
    """Application and id of a journey whose name nobody has told yet, if that is what a change record of the views
    is about.
    """
    change = record["dynamodb"]
    image = change.get("NewImage")
    if image is None or "name" in image:
        return None
    return parse_journey_key(Key(change["Keys"]["pk"]["S"], change["Keys"]["sk"]["S"]))


def journey_in(item: Mapping[str, Any]) -> str | None:
    """The journey of a stored campaign, or None where there is none: its window is closed, or no touch is left."""
    if "open" not in item:
        return None
    campaign = campaign_from(item)
    return campaign.touch.journey if campaign.touch and campaign.open else None
