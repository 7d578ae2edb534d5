"""Registry of journeys: their ids, as facts mention them, and their names, which are labels that may change.

A name comes from whoever sets it, or from Pinpoint's GetJourney where that is reachable. Until one is known, a
journey's id is its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.facts.items import to_item
from chalicelib.keys import LAST, Key, ViewKeys, journey_key, label_key
from chalicelib.labels import changed_label, rechecks, unchanged, version_in
from chalicelib.returns import Money
from chalicelib.settings import Settings
from chalicelib.settings_store import SettingsStore
from chalicelib.tables import Conflict, Item, Table

if TYPE_CHECKING:
    from mypy_boto3_pinpoint import PinpointClient


class Journey(NamedTuple):
    """A journey that facts mention; ``known_name`` is None until somebody tells it."""

    id: str
    known_name: str | None

    @property
    def name(self) -> str:
        return self.known_name or self.id


class Goal(NamedTuple):
    """What a journey is for: events of a type, as many or worth as much as its targets say."""

    event_type: str
    target_count: int | None = None
    target_revenue: Money | None = None


class JourneyDetails(NamedTuple):
    """A journey with what marketers say of it; ``starts`` and ``ends`` in ms UTC."""

    id: str
    known_name: str | None = None
    cost: Money | None = None
    goal: Goal | None = None
    starts: int | None = None
    ends: int | None = None

    @property
    def name(self) -> str:
        return self.known_name or self.id


class Registry:
    """The journeys of applications."""

    def __init__(self, views: Table, facts: Table, settings: SettingsStore) -> None:
        self._views = views
        self._facts = facts
        self._settings = settings

    def journeys(self, application: str) -> list[Journey]:
        """All journeys of an application, by id."""
        first = journey_key(application, "")
        items = self._views.query(first.pk, first.sk, first.sk + LAST)
        return [_journey(item) for item in items]

    def names(self, application: str) -> dict[str, str]:
        """Names of all journeys of an application, by id."""
        return {journey.id: journey.name for journey in self.journeys(application)}

    def details(self, application: str) -> dict[str, JourneyDetails]:
        """All journeys of an application with what marketers say of them, by id."""
        first = journey_key(application, "")
        return {item["journey"]: _details(item) for item in self._views.query(first.pk, first.sk, first.sk + LAST)}

    def get(self, application: str, journey: str) -> Journey | None:
        item = self._views.get(journey_key(application, journey))
        return _journey(item) if item else None

    def set_name(self, application: str, journey: str, name: str) -> None:
        """Tell a journey's name; it becomes known if it was not. Events that bear the name as their stamp find it.

        Old names are kept until their labels are gone: if this is interrupted, doing it again does the rest.
        """
        settings = self._settings.get(application)
        self._relabel(application, settings, name, journey, bears=True)
        for label in self._rename(application, journey, name):
            self._relabel(application, settings, label, journey, bears=False)

    def _rename(self, application: str, journey: str, name: str) -> list[str]:
        """Store the name; the labels that the journey must no longer go by."""
        key = journey_key(application, journey)
        while True:
            item = self._views.get(key)
            before = _journey(item).name if item else journey
            former = {*(item or {}).get("former", {}), before, journey} - {name}
            changed: Item = {
                "pk": key.pk,
                "sk": key.sk,
                **known_fields(journey),
                "name": name,
                "former": dict.fromkeys(sorted(former), 1),
                "version": version_in(item) + 1,
            }
            try:
                self._views.transact([self._views.put_operation(changed, unchanged(item))])
            except Conflict:
                continue
            return sorted(former)

    def _relabel(self, application: str, settings: Settings, label: str, journey: str, *, bears: bool) -> None:
        key = label_key(application, label)
        while True:
            item = self._views.get(key)
            changed = changed_label(key, item, journey, bears=bears)
            if changed is None:
                break
            try:
                self._views.transact([self._views.put_operation(changed, unchanged(item))])
            except Conflict:
                continue
            item = changed
            break
        keys = ViewKeys(application, settings.generation)
        again = rechecks(self._views, keys, label, version_in(item))
        self._facts.put_many([to_item(one, settings) for one in again])


def known_fields(journey: str) -> Item:
    """A journey whose label is in place, and all events that bear it are rechecked."""
    return {"journey": journey, "announced": True}


def met_item(key: Key, journey: str) -> Item:
    """A journey that the projection meets for the first time, until ``known_fields`` says that events know of it."""
    return {"pk": key.pk, "sk": key.sk, "journey": journey, "announced": False, "version": 1}


def is_announced(item: Item | None) -> bool:
    return bool(item and item["announced"])


def _journey(item: Item) -> Journey:
    return Journey(item["journey"], item.get("name"))


def _details(item: Item) -> JourneyDetails:
    goal, starts, ends = item.get("goal"), item.get("starts"), item.get("ends")
    return JourneyDetails(
        id=item["journey"],
        known_name=item.get("name"),
        cost=_money(item.get("cost")),
        goal=_goal(goal) if goal else None,
        starts=None if starts is None else int(starts),
        ends=None if ends is None else int(ends),
    )


def _goal(fields: Mapping[str, Any]) -> Goal:
    count = fields.get("target_count")
    return Goal(fields["event_type"], None if count is None else int(count), _money(fields.get("target_revenue")))


def _money(fields: Mapping[str, Any] | None) -> Money | None:
    return Money(Decimal(fields["amount"]), fields["currency"]) if fields else None


class NameLookup:
    """Asks Pinpoint's GetJourney for names, never on a hot path.

    A journey is asked for once in a function's lifetime while that fails.

    Amazon Pinpoint's journeys ended on 30 October 2026, so not reaching it is the rule: then ids serve as names.
    """

    def __init__(self, client: Callable[[], PinpointClient] | None, registry: Registry) -> None:
        self._client = client
        self._registry = registry
        self._asked: set[tuple[str, str]] = set()

    def name(self, application: str, journey: str) -> str:
        """The journey's name: as registered, else as Pinpoint tells (and then registered), else its id."""
        known = self._registry.get(application, journey)
        if known and known.known_name:
            return known.known_name
        if self._client is None or (application, journey) in self._asked:
            return journey
        try:
            answer = self._client().get_journey(ApplicationId=application, JourneyId=journey)
        except (ClientError, BotoCoreError):
            self._asked.add((application, journey))
            return journey
        name = answer["JourneyResponse"].get("Name")
        if not name:
            return journey
        self._registry.set_name(application, journey, name)
        return name
