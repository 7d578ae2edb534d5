"""Registry of journeys: their ids, as facts mention them, and their names, which are labels that may change.

A name comes from whoever sets it, or from Pinpoint's GetJourney where that is reachable. Until one is known, a
journey's id is its name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.facts.items import to_item
from chalicelib.journeys.details import JourneyDetails, details_in, fields_of
from chalicelib.journeys.labels import changed_label, recheck_all
from chalicelib.keys import LAST, Key, journey_key, label_key, unnamed_key
from chalicelib.settings.model import Settings
from chalicelib.settings.store import Outdated, SettingsStore
from chalicelib.tables import Conflict, Item, Table, unchanged, version_in

if TYPE_CHECKING:
    from mypy_boto3_pinpoint import PinpointClient


MOST_FORMER = 5
"""Labels that interrupted changes may leave to a journey before the next change takes them away first.

So one change visits at most the journey's new label, its former one, its id, and these.
"""

MOST_UNKNOWN = 100
"""Ids of which Pinpoint knows nothing, and for which it is asked all the same, in a function's lifetime."""


class Described(NamedTuple):
    """A journey's details, how often marketers changed them, and whether somebody other than a client named it."""

    details: JourneyDetails
    revision: int
    named: bool


class _Stored(NamedTuple):
    item: Item
    former: tuple[str, ...]


class Registry:
    """The journeys of applications."""

    def __init__(self, views: Table, facts: Table, settings: SettingsStore) -> None:
        self._views = views
        self._facts = facts
        self._settings = settings

    def names(self, application: str) -> dict[str, str]:
        """Names of all journeys of an application, by id."""
        return {journey: one.name for journey, one in self.details(application).items()}

    def details(self, application: str) -> dict[str, JourneyDetails]:
        """All journeys of an application with what marketers say of them, by id."""
        first = journey_key(application, "")
        return {item["journey"]: details_in(item) for item in self._views.query(first.pk, first.sk, first.sk + LAST)}

    def described(self, application: str, journey: str) -> Described | None:
        """What marketers say of a journey, or None where it is not known at all."""
        item = self._views.get(journey_key(application, journey))
        return _described(item) if item else None

    def describe(self, application: str, wanted: JourneyDetails, expected: Collection[int] | None = None) -> Described:
        """Save what a marketer says of a journey; it becomes known if it was not.

        Names become labels as with ``set_name``. If this is interrupted, doing it again does the rest.

        Parameters
        ----------
        expected
            Revisions that he may have seen; None: whatever there is, or nothing.

        Raises
        ------
        Outdated
            The journey is of none of the revisions expected, or not known.
        """
        item = self._views.get(journey_key(application, wanted.id))
        _check(item, expected)
        label = wanted.known_name or wanted.id
        if item and item.get("settled") and _label(item, wanted.id) == label:
            return _described(self._store(application, wanted.id, lambda _: wanted, expected).item)
        if item and len(item.get("former", ())) >= MOST_FORMER:
            self._settle(application, _left(item))
        self._claim(application, wanted.id, label, expected)
        self._relabel(application, label, wanted.id, bears=True)
        try:
            stored = self._store(application, wanted.id, lambda _: wanted, expected)
        except Outdated:
            self._unclaim(application, wanted.id, label)
            raise
        self._settle(application, stored)
        return _described(stored.item)

    def set_name(self, application: str, journey: str, name: str) -> None:
        """Tell a journey's name; it becomes known if it was not. Events that bear the name as their stamp find it.

        Old names are kept until their labels are gone: if this is interrupted, doing it again does the rest.
        """
        self._relabel(application, name, journey, bears=True)
        stored = self._store(application, journey, lambda old: old._replace(known_name=name))
        self._settle(application, stored)

    def _store(
        self,
        application: str,
        journey: str,
        changed: Callable[[JourneyDetails], JourneyDetails],
        expected: Collection[int] | None = None,
    ) -> _Stored:
        """Store what is said of a journey. ``former`` are the labels that it must no longer go by."""
        key = journey_key(application, journey)
        while True:
            item = self._views.get(key)
            _check(item, expected)
            before = details_in(item) if item else None
            after = changed(before or JourneyDetails(journey))
            label = after.known_name or journey
            former = {*(item or {}).get("former", {}), _label(item, journey), journey} - {label}
            settled = bool(item and item.get("settled")) and _label(item, journey) == label
            if settled and before == after and item:
                return _Stored(item, ())
            stored: Item = {
                "pk": key.pk,
                "sk": key.sk,
                "journey": journey,
                "named": True,
                **fields_of(after),
                "former": dict.fromkeys(sorted(former), 1),
                "settled": settled,
                "revision": _revision(item) + (before != after),
                "version": version_in(item) + 1,
            }
            operations = [self._views.put_operation(stored, unchanged(item))]
            if not (item and item.get("named")):
                waits = recheck_all(application, "journey", journey, f"named {stored['version']}")
                operations.append(self._facts.put_operation(to_item(waits, Settings())))
            if item and not item.get("named"):
                operations.append(self._views.add_operation(unnamed_key(application), {"journeys": -1}))
            try:
                self._views.transact(operations)
            except Conflict:
                continue
            return _Stored(stored, () if settled else tuple(sorted(former)))

    def _settle(self, application: str, stored: _Stored) -> None:
        """Take a journey's former labels from it, one after the other, and note each that is done.

        If this is interrupted, the next change goes on with what is left.
        """
        item, left = stored.item, list(stored.former)
        while not item["settled"]:
            if left:
                self._relabel(application, left.pop(), item["journey"], bears=False)
            noted = {
                **item,
                "former": dict.fromkeys(left, 1),
                "settled": not left,
                "version": version_in(item) + 1,
            }
            try:
                self._views.transact([self._views.put_operation(noted, unchanged(item))])
            except Conflict:
                # Somebody says something else by now, and settles it.
                return
            item = noted

    def _claim(self, application: str, journey: str, label: str, expected: Collection[int] | None) -> None:
        """Note among the former labels the one that a journey is about to bear, so that it goes if the name does not
        come. A journey that is not known yet has nowhere to note it.
        """
        while item := self._views.get(journey_key(application, journey)):
            _check(item, expected)
            former = dict.fromkeys(sorted({*item.get("former", {}), label}), 1)
            claimed = {**item, "former": former, "settled": False, "version": version_in(item) + 1}
            try:
                self._views.transact([self._views.put_operation(claimed, unchanged(item))])
            except Conflict:
                continue
            return

    def _unclaim(self, application: str, journey: str, label: str) -> None:
        """Somebody else was first: the label goes, unless the journey is called so."""
        item = self._views.get(journey_key(application, journey))
        if item is None or _label(item, journey) != label:
            self._relabel(application, label, journey, bears=False)

    def _relabel(self, application: str, label: str, journey: str, *, bears: bool) -> None:
        """Change what a label names, together with the mark that makes the projection recheck what waits for it."""
        key = label_key(application, label)
        while True:
            item = self._views.get(key)
            changed = changed_label(key, item, journey, bears=bears)
            if changed is None:
                return
            again = recheck_all(application, "stamp", label, str(changed["version"]))
            operations = [self._views.put_operation(changed, unchanged(item))]
            if item is not None:
                operations.append(self._facts.put_operation(to_item(again, Settings())))
            try:
                self._views.transact(operations)
            except Conflict:
                continue
            return


def _left(item: Item) -> _Stored:
    """What interrupted changes left of a journey: the labels that it must no longer go by."""
    label = _label(item, item["journey"])
    return _Stored({**item, "settled": False}, tuple(sorted(one for one in item["former"] if one != label)))


def met_item(key: Key, journey: str, *, named: bool) -> Item:
    """A journey that the projection meets for the first time; ``named`` by a send or a step."""
    item: Item = {"pk": key.pk, "sk": key.sk, "journey": journey, "version": 1}
    return {**item, "named": True} if named else item


def named_item(item: Item) -> Item:
    """A journey that somebody names."""
    return {**item, "named": True, "version": version_in(item) + 1}


def is_named(item: Item | None) -> bool:
    """Whether a marketer, Pinpoint, a send or a step named a journey, and not only what clients report.

    Those that were met before anybody noted it, which have ``announced``, count as named.
    """
    return bool(item and (item.get("named") or "announced" in item))


def _label(item: Item | None, journey: str) -> str:
    return details_in(item).name if item else journey


def _revision(item: Item | None) -> int:
    return int(item.get("revision", 0)) if item else 0


def _check(item: Item | None, expected: Collection[int] | None) -> None:
    if expected is not None and (item is None or _revision(item) not in expected):
        raise Outdated(_revision(item))


def _described(item: Item) -> Described:
    return Described(details_in(item), _revision(item), is_named(item))


class NameLookup:
    """Asks Pinpoint's GetJourney for names, never on a hot path.

    A journey is asked for once in a function's lifetime while that fails, and none any more once Pinpoint did not
    answer at all, or knew nothing of `MOST_UNKNOWN` of them: clients can make up as many ids as they like.

    Amazon Pinpoint's journeys ended on 30 October 2026, so not reaching it is the rule: then ids serve as names.
    """

    def __init__(self, client: Callable[[], PinpointClient] | None, registry: Registry) -> None:
        self._client = client
        self._registry = registry
        self._unknown: set[tuple[str, str]] = set()

    def name(self, application: str, journey: str) -> str | None:
        """The journey's name: as registered, else as Pinpoint has it (and then registered), else its id.

        None where nobody named the journey: then all that mentions it is what clients report.
        """
        known = self._registry.described(application, journey)
        if known and known.details.known_name:
            return known.details.known_name
        if name := self._looked_up(application, journey):
            self._registry.set_name(application, journey, name)
            return name
        return journey if known and known.named else None

    def _looked_up(self, application: str, journey: str) -> str | None:
        """The name that Pinpoint has."""
        if self._client is None or (application, journey) in self._unknown or len(self._unknown) >= MOST_UNKNOWN:
            return None
        try:
            answer = self._client().get_journey(ApplicationId=application, JourneyId=journey)
        except ClientError:
            self._unknown.add((application, journey))
            return None
        except BotoCoreError:
            self._client = None
            return None
        return answer["JourneyResponse"].get("Name") or None
