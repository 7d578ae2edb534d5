"""What the product says, in the reference model's terms, read from the REST answers' own parts:
reports and event queries.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple, cast

from chalicelib import wiring
from chalicelib.api.queries import Filters
from chalicelib.facts.model import Identity, IdentityKind
from chalicelib.keys import ViewKeys
from chalicelib.projection.views import campaign_from
from chalicelib.reports.report import Report


class Credited(NamedTuple):
    """One credited event, comparable with the model's."""

    user: tuple[str, str]
    event_type: str
    time: int
    value: Decimal | None
    currency: str | None
    journey: str
    touch: tuple[int, str, str] | None
    basis: str


def credited_events(application: str) -> list[Credited]:
    """All credited events of an application, by the paged query."""
    found: list[Credited] = []
    position: str | None = None
    filters = Filters(None, None, None, None, None)
    while True:
        page = wiring.event_queries().page(application, filters, 7, position)
        for row in page.rows:
            assert row.journey is not None
            assert row.basis is not None
            found.append(
                Credited(
                    (row.user.kind, row.user.name if row.user.kind != "x" else ""),
                    row.event_type,
                    row.time,
                    row.value.amount if row.value else None,
                    row.value.currency if row.value else None,
                    row.journey,
                    (row.touch.time, row.touch.kind, row.touch.channel) if row.touch else None,
                    row.basis,
                )
            )
        if page.next_position is None:
            return found
        position = page.next_position


def campaigns(application: str, users: Iterable[tuple[str, str]], now: int) -> dict[tuple[str, str], str | None]:
    """The campaign of those of the users who have a touch, by what the views hold."""
    keys = ViewKeys(application, wiring.settings().get(application).generation)
    wanted = {keys.campaign(Identity(cast(IdentityKind, kind), name)): (kind, name) for kind, name in users}
    found = {wanted[key]: campaign_from(item) for key, item in wiring.views().get_many(wanted).items()}
    return {
        user: campaign.touch.journey if now < campaign.touch.until else None
        for user, campaign in found.items()
        if campaign.touch
    }


def report(application: str, first: str | None, end: str | None) -> Report:
    generation = wiring.settings().get(application).generation
    return wiring.reports().report(application, generation, first, end)
