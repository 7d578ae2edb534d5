"""Two people and what is told of them; and what of them is left in the tables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from chalicelib import wiring
from chalicelib.facts.model import Identity
from chalicelib.reports.report import Report
from chalicelib.tables import Table
from tests.projection.scene import Scene
from tests.reference.facts import Record
from tests.reference.records import email_click, endpoint, event, push_opened, send, step
from tests.reference.shorthand import APP, HOUR, T
from tests.support.system import Json

NOW = T + 10 * HOUR
"""After all that a person's history tells."""


class Person:
    """Names that no other test uses, so that they can be looked for in all items."""

    def __init__(self, scene: Scene, first: str) -> None:
        number = scene.suffix.strip()
        self.name = f"{first}-{number}-name"
        self.user_id = f"{first}-{number}-id"
        self.phone = f"{first}-{number}-phone"
        self.tablet = f"{first}-{number}-tablet"

    @property
    def identity(self) -> Identity:
        return Identity("n", self.name)

    def names(self) -> tuple[str, ...]:
        return (self.name, self.user_id, self.phone, self.tablet)

    # --- what is told ---

    def sent(self, at: int, journey: str = "j1", phone: str | None = None) -> Record:
        return send(APP, phone or self.phone, journey, at, user_name=self.name, user_id=self.user_id)

    def clicked(self, at: int, journey: str = "j1", phone: str | None = None) -> Record:
        return email_click(APP, phone or self.phone, journey, at)

    def bought(self, at: int, price: int = 10, **attributes: str) -> Record:
        return event(APP, "purchase", at, price=price, user_name=self.name, attributes=attributes)

    def bought_by(self, at: int, *, phone: str | None = None, user_id: str | None = None) -> Record:
        return event(APP, "purchase", at, price=10, client_id=phone, user_id=user_id)

    def history(self) -> list[Record]:
        """By all ways in which a person comes to be known: by name, endpoint, ``UserId``, step, push and stamp."""
        by_id = endpoint(user_id=self.user_id)
        return [
            self.bought(T - HOUR, 7, campaign="j1"),
            self.bought_by(T - HOUR + 1, phone=self.phone),
            self.sent(T),
            self.clicked(T + 1),
            self.bought(T + 2),
            self.bought_by(T + 3, phone=self.phone),
            self.bought_by(T + 4, user_id=self.user_id),
            # The tablet is linked to the UserId alone, hence to the user by two links.
            step(APP, "j2", {self.tablet: by_id}, at=T + 5),
            self.bought_by(T + 6, phone=self.tablet),
            push_opened(APP, self.phone, "j3", T + 7, user_name=self.name),
            self.bought(T + 8, 3),
        ]


def erase(scene: Scene, who: Identity) -> int:
    """Erase a user ``NOW`` or later, and project; up to when it is erased."""
    scene.clock.time = max(scene.clock.time, NOW)
    until = wiring.eraser().erase(scene.application, who).until
    scene.system.project_all()
    return until


def items(table: Table) -> Iterator[Json]:
    for page in table.client.get_paginator("scan").paginate(TableName=table.name, ConsistentRead=True):
        yield from page["Items"]


def left_of(names: Sequence[str]) -> list[Json]:
    """Items of either table that hold one of the names, in whatever place."""
    found = []
    for table in (wiring.facts(), wiring.views()):
        found += [item for item in items(table) if any(name in json.dumps(item, default=str) for name in names)]
    return found


def figures(report: Report) -> tuple[object, object, object]:
    """A report, comparable."""
    return (
        [
            (one.journey, one.sends, dict(one.touches), one.reached, one.converters, one.events)
            for one in report.journeys
        ],
        report.total,
        report.unattributed,
    )
