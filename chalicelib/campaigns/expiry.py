"""The user's campaign: what a change of it means to Cognito, and its end with its window (R7)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from chalicelib.keys import DUE_BUCKETS, Key, due_partition, padded, parse_journey_key, parse_user_partition
from chalicelib.projection.views import Campaign, campaign_from
from chalicelib.tables import Table, from_wire, key_of, key_to_wire
from chalicelib.times import Clock


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


class Expired(NamedTuple):
    """Windows that a run closed, and by how many milliseconds the oldest of them was late; 0 if none was due."""

    closed: int
    late: int


class Expiry:
    """``expire_campaigns``: closes windows whose end has come."""

    def __init__(self, views: Table, clock: Clock) -> None:
        self._views = views
        self._clock = clock

    def expire(self) -> Expired:
        """Close all due windows.

        Due ones are found by their end in the index, never by a scan.
        """
        now = self._clock.now()
        closed, late = 0, 0
        for key, due in self._due(now):
            if self._close(key, due):
                closed += 1
                late = max(late, now - int(due))
        return Expired(closed, late)

    def _due(self, now: int) -> Iterator[tuple[Key, str]]:
        for bucket in range(DUE_BUCKETS):
            items: Iterable[dict[str, Any]] = self._views.query(
                due_partition(bucket), "0", padded(now), index="by_time"
            )
            for item in items:
                yield key_of(item), item["gsk"]

    def _close(self, key: Key, due: str) -> bool:
        """Close a window, if it is still the one that was due: a newer touch may have opened another meanwhile."""
        try:
            self._views.client.update_item(
                TableName=self._views.name,
                Key=key_to_wire(key),
                UpdateExpression="SET #open = :closed REMOVE gpk, gsk",
                ConditionExpression="gsk = :due",
                ExpressionAttributeNames={"#open": "open"},
                ExpressionAttributeValues={":closed": {"BOOL": False}, ":due": {"S": due}},
            )
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == "ConditionalCheckFailedException":
                return False
            raise
        return True


def open_campaign(item: Mapping[str, Any] | None, now: int) -> tuple[Campaign, str] | None:
    """A stored campaign and its journey, if its window is open now, whether or not expiry has come by."""
    if item is None:
        return None
    campaign = campaign_from(item)
    journey = campaign.journey_at(now)
    return (campaign, journey) if journey else None
