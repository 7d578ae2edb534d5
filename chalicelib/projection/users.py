"""A user's views: touches, campaign, credits, participation (R1-R5, R7, R11, R13).

Every change is a diff against what is stored, so doing it again changes nothing. Only the interval that a fact
can change is read: an event looks up its touch, a touch looks up the events until the next touch. Functions that
may change many items yield between them, so that the caller can commit in pieces.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING, NamedTuple

from chalicelib.attribution.participation import changed_presence, packed, unpacked
from chalicelib.attribution.stamps import stamp_of
from chalicelib.attribution.touches import Touch, custom_interaction, order_of, touch_of
from chalicelib.attribution.value import value_of
from chalicelib.facts.items import expiring
from chalicelib.facts.model import Event, Identity, Interaction, PlacedFact
from chalicelib.facts.reading import Owner
from chalicelib.journeys.labels import awaited_label, journeys_in, stamped_item
from chalicelib.keys import LAST, fact_key, label_key, padded
from chalicelib.projection.sweeps import Left, first_event
from chalicelib.projection.tallies import CONVERTED, CONVERTED_BY_TOUCH, REACHED, Presence, Tallies
from chalicelib.projection.views import (
    Campaign,
    Credit,
    campaign_from,
    campaign_item,
    credit_from,
    credit_item,
    touch_from,
    touch_item,
)
from chalicelib.tables import unchanged

if TYPE_CHECKING:
    from chalicelib.keys import ViewKeys
    from chalicelib.projection.generations import Work
    from chalicelib.settings.model import Settings
    from chalicelib.tables import Item

EVENTS_AT_ONCE = 50
"""Events whose stored credits are read in one call."""


TOUCHES_AT_ONCE = 50
"""Touches that are read ahead for a user with several late events in a batch."""


class _KnownTouches(NamedTuple):
    """All touches of a user with ``start <= time < until`` (ms UTC), in their order."""

    start: int
    until: float
    touches: list[Touch]

    def at(self, time: int) -> Touch | None:
        at = bisect.bisect_right(self.touches, time, key=lambda touch: touch.time)
        return self.touches[at - 1] if at else None


class Users:
    """Projects facts of one application's users within a unit of work.

    The time decides only whether a campaign's window is still open.
    """

    def __init__(self, work: Work, keys: ViewKeys, settings: Settings) -> None:
        self._unit = work.unit
        self._sweeps = work.sweeps
        self._journeys = work.journeys
        self._budget = work.budget
        self._keys = keys
        self._settings = settings
        self._now = work.now
        self._known_touches: dict[Identity, _KnownTouches] = {}
        self._looked_up: set[Identity] = set()
        self._tallies = Tallies(work.unit, keys, settings)

    # --- events ---

    def event_added(self, user: Identity, event: Event, digest: str) -> Iterator[None]:
        """An event is this user's: credit it by the newest touch at or before it, which it may be itself (R9)."""
        if interaction := custom_interaction(event, self._settings):
            yield from self.touch_added(user, interaction, digest)
        if self.may_have_credit(user, event):
            self._credit(user, event, digest, self.touch_at(user, event.time))

    def may_have_credit(self, user: Identity, event: Event) -> bool:
        """Whether there is anything to look up: a user who never had a touch has credits by stamps alone."""
        return self._unit.get(self._keys.campaign(user)) is not None or stamp_of(event) is not None

    def event_removed(self, user: Identity, event: Event, digest: str) -> Iterator[None]:
        """An event is no longer this user's: its credit goes."""
        if interaction := custom_interaction(event, self._settings):
            yield from self.touch_removed(user, interaction, digest)
        if self.may_have_credit(user, event):
            self._replace_credit(user, event.time, digest, None)

    def event_withdrawn(self, user: Identity, event: Event, digest: str) -> None:
        """An event is no longer this user's, and neither is anything that it may have decided."""
        if self.may_have_credit(user, event):
            self._replace_credit(user, event.time, digest, None)
        if interaction := custom_interaction(event, self._settings):
            self.touch_withdrawn(user, interaction, digest)

    def touch_at(self, user: Identity, time: int) -> Touch | None:
        """The user's newest touch at or before a time (R1, R4)."""
        newest = self.campaign(user).touch
        if newest is None or newest.time <= time:
            return newest
        known = self._known_touches.get(user)
        if known is None or not known.start <= time < known.until:
            found = self._touch_between(user, "", f"{padded(time)}#{LAST}")
            if user not in self._looked_up:
                self._looked_up.add(user)
                return found
            # Not the first late event of this user in the batch: what follows is read in one call.
            known = self._known_touches[user] = self._touches_from(user, found, time)
        return known.at(time)

    def _touches_from(self, user: Identity, touch: Touch | None, time: int) -> _KnownTouches:
        items = self._unit.some(self._keys.user(user), f"touch#{padded(time + 1)}", f"touch#{LAST}", TOUCHES_AT_ONCE)
        following = [touch_from(item) for item in items]
        until = following[-1].time if len(following) == TOUCHES_AT_ONCE else math.inf
        return _KnownTouches(touch.time if touch else time, until, [*([touch] if touch else []), *following])

    def _credit(self, user: Identity, event: Event, digest: str, touch: Touch | None) -> None:
        journey: str | None = None
        if not self._settings.policy_at(event.time).counts_event(event.type):
            journey = None
        elif touch:
            journey = touch.journey if touch.covers(event.time) else None
        else:
            journey = self._decide_by_stamp(user, event, digest)
        credit = (
            Credit(
                journey=journey,
                event_time=event.time,
                event_type=event.type,
                digest=digest,
                value=value_of(event, self._settings.value_at(event.time)),
                touch=touch,
                stamp=stamp_of(event) if touch else None,
            )
            if journey is not None
            else None
        )
        self._replace_credit(user, event.time, digest, credit)

    def stamped_journey(self, event: Event) -> str | None:
        """The journey that an event's stamp names now; of several of one name the greatest id (R11)."""
        stamp = stamp_of(event)
        label = self._unit.get(label_key(self._keys.application, stamp)) if stamp else None
        return max(journeys_in(label), default=None)

    def _decide_by_stamp(self, user: Identity, event: Event, digest: str) -> str | None:
        """The journey that an event's stamp names, and the promise to decide it again when the name means another."""
        if stamp := stamp_of(event):
            key = label_key(self._keys.application, stamp)
            label = self._unit.get(key)
            if label is None:
                self._unit.put_if(awaited_label(key), unchanged(None))
            else:
                self._unit.require(key, unchanged(label))
            self._put(stamped_item(self._keys, stamp, user, event.time, digest), event.time)
        return self.stamped_journey(event)

    def _replace_credit(self, user: Identity, time: int, digest: str, credit: Credit | None) -> None:
        key = self._keys.credit(user, time, digest)
        stored = self._unit.get(key)
        old = credit_from(stored) if stored else None
        if old == credit:
            return
        if old:
            self._tally_credit(user, old, -1)
        if credit:
            self._tally_credit(user, credit, 1)
            self._put(credit_item(self._keys, user, credit), credit.event_time)
        else:
            self._unit.delete(key)
        self._count_change(old, credit)

    def _count_change(self, old: Credit | None, new: Credit | None) -> None:
        """Count a change of a credit in the views that are served: a rebuild makes all of them once more."""
        if self._keys.generation != self._settings.generation:
            return
        if old is None or new is None:
            self._unit.count("CreditsMade" if new else "CreditsWithdrawn")
        elif old.journey != new.journey:
            self._unit.count("CreditsMoved")

    def _tally_credit(self, user: Identity, credit: Credit, count: int) -> None:
        self._tallies.credit(credit, count)
        self._be_present(user, credit.journey, CONVERTED, credit.event_time, count)
        self._be_present(user, credit.journey, CONVERTED_BY_TOUCH, credit.touched, count)

    # --- touches ---

    def touch_added(self, user: Identity, interaction: Interaction, digest: str) -> Iterator[None]:
        """A touch is this user's: it decides the events from it until the next touch."""
        touch = self._stored_touch(user, interaction, digest)
        if touch is None:
            touch = touch_of(interaction, digest, self._settings)
            if touch is None:
                return
            if not self._journeys.admits(touch.journey):
                self._journeys.wait(user, interaction, digest)
                return
            self._known_touches.pop(user, None)
            self._put(touch_item(self._keys, user, touch), touch.until)
            self._be_present(user, touch.journey, REACHED, touch.time, 1)
        newest = self.campaign(user).touch
        if newest is None or newest.order < touch.order:
            self._become_campaign(user, touch)
        yield from self._decide(user, touch, self._next_touch(user, touch), touch)

    def touch_removed(self, user: Identity, interaction: Interaction, digest: str) -> Iterator[None]:
        """A touch is no longer this user's: the one before it decides its events."""
        touch = self._stored_touch(user, interaction, digest)
        if touch:
            # It goes at once with what is left to a sweep, which decides by the touches that there are.
            yield from self._decide(user, touch, self._next_touch(user, touch), self._touch_before(user, touch))
            self._drop_touch(user, touch)

    def touch_withdrawn(self, user: Identity, interaction: Interaction, digest: str) -> None:
        """A touch is no longer this user's, and neither are the events it decided: nothing is left to decide."""
        touch = self._stored_touch(user, interaction, digest)
        if touch:
            self._drop_touch(user, touch)

    def _stored_touch(self, user: Identity, interaction: Interaction, digest: str) -> Touch | None:
        stored = self._unit.get(self._keys.touch(user, order_of(interaction, digest)))
        return touch_from(stored) if stored else None

    def _drop_touch(self, user: Identity, touch: Touch) -> None:
        before = self._touch_before(user, touch)
        self._known_touches.pop(user, None)
        self._unit.delete(self._keys.touch(user, touch.order))
        self._be_present(user, touch.journey, REACHED, touch.time, -1)
        newest = self.campaign(user).touch
        if newest and newest.order == touch.order:
            self._become_campaign(user, before)

    def _touch_before(self, user: Identity, touch: Touch) -> Touch | None:
        return self._touch_between(user, "", touch.order, without=touch)

    def _decide(self, user: Identity, touch: Touch, following: Touch | None, decider: Touch | None) -> Iterator[None]:
        """Credit the events from ``touch`` until the following one by ``decider``, as many as the budget allows."""
        end = following.time if following else None
        if self._sweeps.is_known(user, "decisions") and self._is_left_to_sweep(user, touch, end):
            return
        events = self._unit.reader.events(Owner(self._keys.application, user), touch.time, end)
        first = next(events, None)
        # Most touches have no events yet: only then it is worth a call to ask for a sweep.
        if first is None or self._is_left_to_sweep(user, touch, end):
            return
        events = chain([first], events)
        while chunk := list(islice(events, EVENTS_AT_ONCE)):
            self._unit.prefetch(self._keys.credit(user, event.time, placed.digest) for placed, event in chunk)
            for placed, event in chunk:
                if not self._budget.take():
                    self._sweeps.leave(user, "decisions", Left(touch.time, end, fact_key(placed).sk))
                    return
                self._credit(user, event, placed.digest, decider)
                yield

    def _is_left_to_sweep(self, user: Identity, touch: Touch, end: int | None) -> bool:
        """Whether a sweep of the user's events is under way, which then goes through those of a touch, too."""
        if self._sweeps.left(user, "decisions") is None:
            return False
        self._sweeps.leave(user, "decisions", Left(touch.time, end, first_event(touch.time)))
        return True

    def decide(self, user: Identity, events: Iterable[tuple[PlacedFact, Event]]) -> Iterator[PlacedFact]:
        """Credit events, in order of time, each by the touch that decides it; yields each when it is done."""
        touch: Touch | None = None
        until: int | None = -1
        for placed, event in events:
            if until is not None and event.time >= until:
                touch = self.touch_at(user, event.time)
                following = self._first_touch_after(user, event.time)
                until = following.time if following else None
            self._credit(user, event, placed.digest, touch)
            yield placed

    def _first_touch_after(self, user: Identity, time: int) -> Touch | None:
        newest = self.campaign(user).touch
        if newest is None or newest.time <= time:
            return None
        return self._touch_between(user, padded(time + 1), LAST, descending=False)

    def _next_touch(self, user: Identity, touch: Touch) -> Touch | None:
        newest = self.campaign(user).touch
        if newest is None or newest.order <= touch.order:
            return None
        return self._touch_between(user, touch.order, LAST, without=touch, descending=False)

    def _touch_between(
        self, user: Identity, low: str, high: str, *, without: Touch | None = None, descending: bool = True
    ) -> Touch | None:
        """The last (or first) stored touch with ``low <= order <= high``, but for one."""
        if without and descending:
            high = _just_below(without.order)
        elif without:
            low = without.order + "\x00"
        item = self._unit.first(self._keys.user(user), f"touch#{low}", f"touch#{high}", descending=descending)
        return touch_from(item) if item else None

    # --- storing ---

    def _put(self, item: Item, time: int) -> None:
        """Store a view that is of use until a time (ms UTC); the retention counts from the latest such time."""
        expiry = self._settings.expiry_of(time)
        self._unit.put(expiring(item, None if expiry is None else max(expiry, int(item.get("ttl", 0)))))

    # --- campaign and participation ---

    def campaign(self, user: Identity) -> Campaign:
        item = self._unit.get(self._keys.campaign(user))
        return campaign_from(item) if item else Campaign(None, open=False)

    def _become_campaign(self, user: Identity, touch: Touch | None) -> None:
        still_open = touch is not None and self._now < touch.until
        item = campaign_item(self._keys, user, Campaign(touch, open=still_open))
        self._unit.count("CampaignsChanged")
        self._put(item, touch.until if touch else self._now)

    def _be_present(self, user: Identity, journey: str, presence: Presence, time: int, count: int) -> None:
        """Note that a user was active for a journey at a time (ms UTC), or take it back."""
        item = self._participation(user, journey)
        days, changes = changed_presence(_active(item, presence), self._tallies.day_of(time), count)
        self._tallies.present(journey, presence, changes)
        self._put({**item, presence: packed(days)}, time)

    def _participation(self, user: Identity, journey: str) -> Item:
        key = self._keys.participation(user, journey)
        return self._unit.get(key) or {"pk": key.pk, "sk": key.sk}


def _active(participation: Item, name: str) -> dict[str, int]:
    return unpacked(bytes(participation.get(name, b"")))


def _just_below(order: str) -> str:
    """An upper bound that leaves out exactly ``order``:
    no order is a prefix of it, as each ends with a digest of fixed length.
    """
    return order[:-1] + chr(ord(order[-1]) - 1) + LAST
