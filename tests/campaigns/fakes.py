"""A user pool and names in the test's hands, and change records of campaigns as the views' stream tells them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.attribution.touches import Touch
from chalicelib.campaigns import CampaignSync, CognitoCampaigns
from chalicelib.facts.model import Identity, IdentityKind
from chalicelib.keys import ViewKeys
from chalicelib.projection.views import Campaign, campaign_item
from chalicelib.tables import Item, to_wire
from tests.reference.shorthand import WEEK, T

Json = dict[str, Any]

ATTRIBUTE = "custom:campaign"
_sequence = itertools.count(100)


class Pool:
    """Cognito with a few users; it throttles from the call on that a test says, and remembers what was written."""

    def __init__(self, users: Iterable[str], throttles_at: int | None = None, refused: Iterable[str] = ()) -> None:
        self.campaigns: dict[str, str | None] = dict.fromkeys(users)
        self.writes: list[tuple[str, str]] = []
        self.throttles_at = throttles_at
        self._refused = set(refused)
        self._calls = 0

    def admin_update_user_attributes(self, UserPoolId: str, Username: str, UserAttributes: list[Json]) -> Json:  # noqa: N803 - boto3's own names
        self._calls += 1
        if self.throttles_at is not None and self._calls >= self.throttles_at:
            raise error("TooManyRequestsException")
        if Username not in self.campaigns:
            raise error("UserNotFoundException")
        if Username in self._refused:
            raise error("InvalidParameterException")
        (attribute,) = UserAttributes
        assert attribute["Name"] == ATTRIBUTE
        self.campaigns[Username] = attribute["Value"]
        self.writes.append((Username, attribute["Value"]))
        return {}

    def recover(self) -> None:
        self.throttles_at = None


def error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": ""}}, "AdminUpdateUserAttributes")


class Names:
    """Journeys' names; a journey without one goes by its id."""

    def __init__(self, **names: str) -> None:
        self._names = names
        self.asked: list[tuple[str, str]] = []

    def name(self, application: str, journey: str) -> str:
        self.asked.append((application, journey))
        return self._names.get(journey, journey)


def sync_to(pool: Pool, names: Names | None = None) -> CampaignSync:
    cognito = CognitoCampaigns(pool, "pool", ATTRIBUTE)  # type: ignore[arg-type]
    return CampaignSync(cognito, names or Names())  # type: ignore[arg-type]


def campaign(journey: str | None, *, is_open: bool = True, at: int = T) -> Campaign:
    """A user's campaign in the views; a journey of None where no touch is left."""
    touch = None if journey is None else Touch(at, "email.click", "email", journey, at + WEEK, "d")
    return Campaign(touch, open=is_open and touch is not None)


def changed(
    user: str, before: Campaign | None, after: Campaign | None, *, kind: IdentityKind = "n", application: str = "app"
) -> Json:
    """The change record of a user's campaign; None: the item was not there before, or is not after."""
    keys, identity = ViewKeys(application, 0), Identity(kind, user)
    key = keys.campaign(identity)

    def image(campaign: Campaign | None) -> Item | None:
        return campaign_item(keys, identity, campaign) if campaign else None

    return change({"pk": key.pk, "sk": key.sk}, image(before), image(after))


def change(key: Item, before: Item | None, after: Item | None) -> Json:
    """A change record of any item of the views."""
    body: Json = {"Keys": to_wire(key), "SequenceNumber": str(next(_sequence))}
    if before is not None:
        body["OldImage"] = to_wire(before)
    if after is not None:
        body["NewImage"] = to_wire(after)
    return {"eventName": "MODIFY", "dynamodb": body}


def sequence(record: Json) -> str:
    return str(record["dynamodb"]["SequenceNumber"])
