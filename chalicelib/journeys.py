"""Registry of journeys: their ids, as facts mention them, and their names, which are labels that may change.

A name comes from whoever sets it, or from Pinpoint's GetJourney where that is reachable. Until one is known, a
journey's id is its name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.keys import LAST, journey_key
from chalicelib.tables import Item, Table

if TYPE_CHECKING:
    from mypy_boto3_pinpoint import PinpointClient


class Journey(NamedTuple):
    """A journey that facts mention; ``known_name`` is None until somebody tells it."""

    id: str
    known_name: str | None

    @property
    def name(self) -> str:
        return self.known_name or self.id


class Registry:
    """The journeys of applications."""

    def __init__(self, views: Table) -> None:
        self._views = views

    def journeys(self, application: str) -> list[Journey]:
        """All journeys of an application, by id."""
        first = journey_key(application, "")
        items = self._views.query(first.pk, first.sk, first.sk + LAST)
        return [_journey(item) for item in items]

    def names(self, application: str) -> dict[str, str]:
        """Names of all journeys of an application, by id."""
        return {journey.id: journey.name for journey in self.journeys(application)}

    def get(self, application: str, journey: str) -> Journey | None:
        item = self._views.get(journey_key(application, journey))
        return _journey(item) if item else None

    def set_name(self, application: str, journey: str, name: str) -> None:
        """Tell a journey's name; it becomes known if it was not."""
        key = journey_key(application, journey)
        self._views.client.update_item(
            TableName=self._views.name,
            Key={"pk": {"S": key.pk}, "sk": {"S": key.sk}},
            UpdateExpression="SET #j = :j, #n = :n",
            ExpressionAttributeNames={"#j": "journey", "#n": "name"},
            ExpressionAttributeValues={":j": {"S": journey}, ":n": {"S": name}},
        )


def journey_fields(journey: str) -> Item:
    """What the projection notes of a journey when it first meets it."""
    return {"journey": journey}


def _journey(item: Item) -> Journey:
    return Journey(item["journey"], item.get("name"))


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
