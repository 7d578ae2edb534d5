"""R6: which attribute names a record's user follows from the record and from the settings' history, not from arrival.

So a replay of everything after a change of the attribute counts nothing twice.
"""

from __future__ import annotations

import random
from dataclasses import replace
from functools import partial

from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib import wiring
from chalicelib.settings.model import Settings
from tests.properties.test_equality import check_all, prepared, told_and_delivered
from tests.properties.test_faults import FEWER, ingest
from tests.reference import histories
from tests.reference.facts import DAY, Record
from tests.support.clock import SetClock
from tests.support.system import System

AFTER_ALL = max(histories.MOMENTS) + 30 * DAY


@settings(max_examples=FEWER)
@given(told=told_and_delivered(), seed=st.integers(0, 1_000_000))
def test_a_replay_after_a_change_of_the_attribute_changes_nothing(
    told: tuple[histories.History, list[list[Record]]], seed: int, system: System, clock: SetClock
) -> None:
    history, deliveries = told
    chance = random.Random(seed)
    ready = prepared(history)
    changed = {
        application: "username" if one.username_attribute == "login" else "login"
        for application, one in ready.settings.items()
    }
    for batch in deliveries[: chance.randint(0, len(deliveries))]:
        ingest(system, clock, ready.renamed(batch))
        system.project_all(chance.choice, count=4)
    for application, attribute in changed.items():
        rename = partial(Settings.with_username_attribute, name=attribute, effective_from=AFTER_ALL)
        wiring.settings().change(application, rename)
    after = {
        application: replace(one, username_changes=[*one.username_changes, (AFTER_ALL, changed[application])])
        for application, one in ready.settings.items()
    }
    for batch in chance.sample(deliveries, len(deliveries)):
        ingest(system, clock, ready.renamed(batch))
    system.project_all(chance.choice, count=4)
    check_all(replace(ready, settings=after))
