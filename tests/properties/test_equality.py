"""I1: whatever the order, duplication, batching and interleaving, the outcome is the reference model's.

On the way I2 holds after every step of the projection, and in the end I4: malformed records are set aside, and all else
is as if they had not come.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib import wiring
from chalicelib.settings.model import (
    CustomInteraction,
    InteractionSetting,
    Policy,
    Settings,
    UsernameAttribute,
    ValueSettings,
    Window,
)
from chalicelib.times import DAY_MS
from tests.properties.conservation import Conservation
from tests.properties.counted import TRIED
from tests.properties.figures import check_report, check_report_by_touch
from tests.reference import histories, model
from tests.reference.facts import Record, Step
from tests.reference.records import encode
from tests.reference.settings import Policy as ModelPolicy
from tests.reference.settings import Settings as ModelSettings
from tests.support.budgets import small_budgets
from tests.support.clock import SetClock
from tests.support.outcome import Credited, campaigns, credited_events
from tests.support.quarantined import quarantined_after
from tests.support.renaming import fresh_suffix, renamed
from tests.support.system import System, next_number

pytestmark = pytest.mark.timeout(900)


def save(application: str, given: ModelSettings) -> None:
    def changed(_: Settings) -> Settings:
        settings = Settings(
            username_attributes=username_attributes(given),
            values=(
                ValueSettings(
                    price_metric=given.price_metric,
                    quantity_metric=given.quantity_metric,
                    currency_attribute=given.currency_attribute,
                    default_currency=given.default_currency,
                    refund_types=frozenset(given.refund_types),
                ),
            ),
        )
        for effective_from, length in given.windows:
            settings = settings.with_window(Window(days(length), effective_from))
        for policy in given.policies:
            settings = settings.with_policy(policy_of(policy))
        return settings

    wiring.settings().change(application, changed)


def username_attributes(given: ModelSettings) -> tuple[UsernameAttribute, ...]:
    changes = {0: given.username_attribute, **dict(given.username_changes)}
    return tuple(UsernameAttribute(changes[since], since) for since in sorted(changes))


def days(length: int) -> Decimal:
    return Decimal(length) / DAY_MS


def own_days(length: int | None) -> Decimal | None:
    """None for the application's."""
    return None if length is None else days(length)


def policy_of(given: ModelPolicy) -> Policy:
    return Policy(
        effective_from=given.effective_from,
        interactions={
            kind: InteractionSetting(kind not in given.off, own_days(given.windows.get(kind)))
            for kind in {*given.off, *given.windows}
        },
        custom_interactions=tuple(
            CustomInteraction(event_type, one.journey_attribute, one.channel, own_days(one.window))
            for event_type, one in given.customs.items()
        ),
        ignore_machine_opens=bool(given.machines),
        machine_user_agents=given.machines,
        included_events=given.included,
        excluded_events=given.excluded,
    )


def expected_credits(outcome: model.Outcome) -> Counter[Credited]:
    return Counter(
        Credited(
            named(one.user),
            one.event_type,
            one.time,
            one.value,
            one.currency,
            one.journey_id,
            (one.touch.time, one.touch.kind, one.touch.channel) if one.touch else None,
            one.basis,
        )
        for one in outcome.credits.values()
        if one.journey_id is not None and one.basis is not None
    )


def named(user: tuple[str, str]) -> tuple[str, str]:
    """Nobody's name is made of the fact, by the model and by the product in ways of their own."""
    return ("x", "") if user[0] == "x" else user


def check(application: str, outcome: model.Outcome, users: set[tuple[str, str]], now: int) -> None:
    assert Counter(credited_events(application)) == expected_credits(outcome)
    # Nobody's event may be a touch, but it is nobody's campaign.
    expected = {user: journey for user, journey in outcome.campaigns(now).items() if user[0] != "x"}
    assert campaigns(application, users, now) == expected
    days = sorted({*outcome.totals, *(day for day, _ in outcome.tallies)})
    for first, last in [*zip(days, days, strict=True), *pairwise(days), *([(days[0], days[-1])] if days else [])]:
        check_report(application, outcome, first, last)
        check_report_by_touch(application, outcome, first, last)


@st.composite
def told_and_delivered(draw: st.DrawFn) -> tuple[histories.History, list[list[Record]]]:
    history = draw(histories.histories())
    deliveries = draw(histories.deliveries(history))
    TRIED["deliveries"] += len(deliveries)
    return history, deliveries


@dataclass
class Prepared:
    """A history under applications of its own, with their settings saved."""

    history: histories.History
    suffix: str
    settings: dict[str, ModelSettings]
    since: str
    """Sequence number of a record of the stream before all of this history's."""

    def renamed(self, records: Iterable[Record]) -> list[Record]:
        return [renamed(record, self.suffix) for record in records]


def prepared(history: histories.History, *, named: bool = True) -> Prepared:
    suffix = fresh_suffix()
    settings = {f"{application}{suffix}": one for application, one in history.settings.items()}
    for application, given_settings in settings.items():
        save(application, given_settings)
        if named:
            for journey, name in given_settings.journey_names.items():
                wiring.registry().set_name(application, journey, name)
    return Prepared(history, suffix, settings, next_number())


def check_all(ready: Prepared) -> None:
    """Everything that the product says of a history is what the model says."""
    TRIED["histories"] += 1
    expected = model.run(ready.renamed(ready.history.records), ready.settings)
    everybody = (*histories.NAMES, *histories.USER_IDS, *histories.ENDPOINTS)
    users = {(kind, name) for kind in ("n", "u", "p") for name in everybody}
    for application in ready.settings:
        check(application, expected[application], users, ready.history.now)


def check_quarantine(ready: Prepared, deliveries: Iterable[Iterable[Record]]) -> None:
    """I4: of the records that were delivered the malformed ones were set aside, whole, and no other."""
    records = [record for batch in deliveries for record in ready.renamed(batch)]
    bad = Counter(one for one in records if isinstance(one, bytes))
    assert bad.total() == model.malformed(records)
    assert quarantined_after(ready.since) == bad


@given(told=told_and_delivered(), interleaving=st.integers(0, 1_000_000))
def test_outcome_is_the_models_whatever_the_delivery(
    told: tuple[histories.History, list[list[Record]]], interleaving: int, system: System, clock: SetClock
) -> None:
    history, deliveries = told
    chance = random.Random(interleaving)
    ready = prepared(history, named=False)
    names = [(app, *one) for app, given in ready.settings.items() for one in given.journey_names.items()]
    chance.shuffle(names)
    conservation = Conservation(ready.settings)
    with small_budgets(small=chance.random() < 0.5):
        for batch in deliveries:
            while names and chance.random() < 0.4:
                wiring.registry().set_name(*names.pop())
            raw = ready.renamed(batch)
            system.ingest(encode(record) for record in raw if not isinstance(record, Step))
            for step in raw:
                if isinstance(step, Step):
                    clock.time = step.invoked_at_ms
                    system.tag(step.payload)
            system.collect()
            conservation.delivered(raw)
            if chance.random() < 0.3:
                system.split(chance.choice(sorted(system.waiting)))
            while chance.random() < 0.7 and (shards := system.ready()):
                system.project_some(chance.choice(shards), chance.randint(1, 5))
                conservation.check(system)
        for name in names:
            wiring.registry().set_name(*name)
        system.project_all(chance.choice, count=4, after_each=lambda: conservation.check(system))
        system.join()
    check_all(ready)
    check_quarantine(ready, deliveries)
