"""The user's campaign in Cognito: written when it changes, blanked when its window ends (R7)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import ClientError

from chalicelib.journeys import NameLookup
from chalicelib.keys import DUE_BUCKETS, Key, due_partition, padded, parse_journey_key, parse_user_partition
from chalicelib.projection.views import Campaign, campaign_from
from chalicelib.tables import Table, from_wire, key_of, key_to_wire
from chalicelib.times import Clock

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp import CognitoIdentityProviderClient

BLANK = ""

LONGEST_VALUE = 2_048
"""Of a Cognito attribute, in characters."""


class CampaignChange(NamedTuple):
    """A user's campaign is another one now: the journey's id, or None for blank."""

    application: str
    user_name: str
    journey: str | None


def campaign_change(record: Mapping[str, Any]) -> CampaignChange | None:
    """What a change record of the views says about what stands in Cognito, or None where it says nothing.

    Only users with a Cognito user name have an attribute; a touch that leaves the same journey open changes
    nothing there.
    """
    change = record["dynamodb"]
    if change["Keys"]["sk"]["S"] != "campaign" or "NewImage" not in change:
        return None
    parsed = parse_user_partition(change["Keys"]["pk"]["S"])
    if parsed is None:
        return None
    application, _, identity = parsed
    if identity.kind != "n":
        return None
    journey = _open_journey(change["NewImage"])
    if journey == (_open_journey(change["OldImage"]) if "OldImage" in change else None):
        return None
    return CampaignChange(application, identity.name, journey)


def new_journey(record: Mapping[str, Any]) -> tuple[str, str] | None:
    """Application and id of a journey whose name nobody has told yet, if that is what a change record of the views
    is about.
    """
    change = record["dynamodb"]
    image = change.get("NewImage")
    if image is None or "name" in image:
        return None
    return parse_journey_key(Key(change["Keys"]["pk"]["S"], change["Keys"]["sk"]["S"]))


def _open_journey(image: Mapping[str, Any]) -> str | None:
    campaign = campaign_from(from_wire(image))
    return campaign.touch.journey if campaign.touch and campaign.open else None


class CognitoCampaigns:
    """The campaign attribute of the users of a Cognito user pool."""

    def __init__(self, cognito: CognitoIdentityProviderClient, pool: str, attribute: str) -> None:
        self._cognito = cognito
        self._pool = pool
        self._attribute = attribute

    def write(self, user_name: str, campaign: str) -> bool:
        """Set a user's campaign; False where the pool has no such user, or takes no such value of it.

        Raises
        ------
        ClientError
            Cognito is throttling or failing: try again later.
        """
        try:
            self._cognito.admin_update_user_attributes(
                UserPoolId=self._pool,
                Username=user_name,
                UserAttributes=[{"Name": self._attribute, "Value": campaign[:LONGEST_VALUE]}],
            )
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in ("UserNotFoundException", "InvalidParameterException"):
                return False
            raise
        return True


class Synced(NamedTuple):
    """What became of a batch of change records.

    Attributes
    ----------
    failed
        Sequence number of the first record whose campaign is not in Cognito yet, or None.
    """

    written: int
    unknown: int
    failed: str | None


class CampaignSync:
    """``sync_campaigns``: follows the views' change stream and writes what changed to Cognito."""

    def __init__(self, cognito: CognitoCampaigns, names: NameLookup) -> None:
        self._cognito = cognito
        self._names = names

    def sync(self, records: Sequence[Mapping[str, Any]]) -> Synced:
        """Write the last campaign of each user in the batch, oldest first.

        A user whose campaign changed back within the batch is written all the same: an earlier delivery may have
        got half way. Where Cognito throttles, the rest of the batch comes again.
        """
        last: dict[tuple[str, str], tuple[str, CampaignChange]] = {}
        for record in records:
            if unnamed := new_journey(record):
                self._names.name(*unnamed)
            if change := campaign_change(record):
                user = (change.application, change.user_name)
                last.pop(user, None)
                last[user] = (str(record["dynamodb"]["SequenceNumber"]), change)
        written = unknown = 0
        for sequence, change in last.values():
            try:
                found = self._cognito.write(change.user_name, self._text(change))
            except ClientError:
                return Synced(written, unknown, sequence)
            written += found
            unknown += not found
        return Synced(written, unknown, None)

    def _text(self, change: CampaignChange) -> str:
        return BLANK if change.journey is None else self._names.name(change.application, change.journey)


class Expiry:
    """``expire_campaigns``: closes windows whose end has come."""

    def __init__(self, views: Table, clock: Clock) -> None:
        self._views = views
        self._clock = clock

    def expire(self) -> int:
        """Close all due windows; how many were closed.

        Due ones are found by their end in the index, never by a scan.
        """
        now = self._clock.now()
        return sum(self._close(key, due) for key, due in self._due(now))

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
