"""Views of a user as items: touches, campaign, credits. One place says how each is stored."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

import msgspec

from chalicelib.attribution.touches import Touch
from chalicelib.attribution.value import Value
from chalicelib.facts.model import Identity
from chalicelib.keys import ViewKeys, due_bucket, due_partition, padded
from chalicelib.tables import Item

Basis = Literal["touch", "stamp"]


class Credit(msgspec.Struct, frozen=True):
    """An event's credit: to which journey, by which touch (None: by the event's stamp).

    ``event_time`` in ms UTC; ``value`` is the event's, negative for refunds; ``stamp`` is the event's where a touch
    decided it all the same.
    """

    journey: str
    event_time: int
    event_type: str
    digest: str
    value: Value | None
    touch: Touch | None
    stamp: str | None = None

    @property
    def basis(self) -> Basis:
        return "touch" if self.touch else "stamp"

    @property
    def touched(self) -> int:
        """When the touch was that has the credit (ms UTC); of a stamped event its own time."""
        return self.touch.time if self.touch else self.event_time


class Campaign(msgspec.Struct, frozen=True):
    """A user's newest touch (None: none is left) and whether its window was open when this was written (R7)."""

    touch: Touch | None
    open: bool

    def journey_at(self, now: int) -> str | None:
        """The journey that is the user's campaign now."""
        return self.touch.journey if self.touch and self.open and now < self.touch.until else None


_TOUCH_FIELDS = ("time", "kind", "channel", "journey", "until", "digest")


def _touch_fields(touch: Touch) -> Item:
    return {name: getattr(touch, name) for name in _TOUCH_FIELDS}


def _touch_from(fields: Mapping[str, Any]) -> Touch:
    return Touch(
        time=int(fields["time"]),
        kind=fields["kind"],
        channel=fields["channel"],
        journey=fields["journey"],
        until=int(fields["until"]),
        digest=fields["digest"],
    )


def touch_item(keys: ViewKeys, user: Identity, touch: Touch) -> Item:
    key = keys.touch(user, touch.order)
    return {"pk": key.pk, "sk": key.sk, **_touch_fields(touch)}


def touch_from(item: Mapping[str, Any]) -> Touch:
    return _touch_from(item)


def campaign_item(keys: ViewKeys, user: Identity, campaign: Campaign) -> Item:
    """An open one stands in the index of due windows, under its end."""
    key = keys.campaign(user)
    item: Item = {"pk": key.pk, "sk": key.sk, "open": campaign.open}
    if campaign.touch:
        item["touch"] = _touch_fields(campaign.touch)
        if campaign.open:
            item |= {"gpk": due_partition(due_bucket(key.pk)), "gsk": padded(campaign.touch.until)}
    return item


def campaign_from(item: Mapping[str, Any]) -> Campaign:
    touch = item.get("touch")
    return Campaign(_touch_from(touch) if touch else None, bool(item["open"]))


def credit_item(keys: ViewKeys, user: Identity, credit: Credit) -> Item:
    key = keys.credit(user, credit.event_time, credit.digest)
    item: Item = {
        "pk": key.pk,
        "sk": key.sk,
        "gpk": keys.journey_credits(credit.journey),
        "gsk": f"{padded(credit.event_time)}#{credit.digest}",
        "journey": credit.journey,
        "type": credit.event_type,
    }
    if credit.value:
        item |= {"value": credit.value.amount, "currency": credit.value.currency}
    if credit.touch:
        item["touch"] = _touch_fields(credit.touch)
    if credit.stamp is not None:
        item["stamp"] = credit.stamp
    return item


def credit_from(item: Mapping[str, Any]) -> Credit:
    _, time, digest = item["sk"].split("#")
    amount = item.get("value")
    touch = item.get("touch")
    return Credit(
        journey=item["journey"],
        event_time=int(time),
        event_type=item["type"],
        digest=digest,
        value=Value(Decimal(amount), item["currency"]) if amount is not None else None,
        touch=_touch_from(touch) if touch else None,
        stamp=item.get("stamp"),
    )
