"""What holds of the model for every history, and that the generated histories reach what they are for."""

import ast
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from .histories import History, deliveries, histories
from .model import Credit, Outcome, Settings, malformed, run


@pytest.mark.timeout(900)  # the deep profile tries thousands
@given(st.data())
def test_order_and_duplicates_do_not_matter(data: st.DataObject) -> None:
    """R5 of the model itself."""
    history = data.draw(histories())
    delivered = [record for batch in data.draw(deliveries(history)) for record in batch]
    assert run(delivered, history.settings) == run(history.records, history.settings)


@pytest.mark.timeout(900)  # the deep profile tries thousands
@given(histories())
def test_every_event_is_in_exactly_one_bucket(history: History) -> None:
    """R13, counted and valued from the tallies alone."""
    for result in run(history.records, history.settings).values():
        for day, total in result.totals.items():
            parts = [tally for (of, _), tally in result.tallies.items() if of == day]
            parts += [result.unattributed[day]] if day in result.unattributed else []
            for cell, count in total.counts.items():
                assert sum(part.counts[cell] for part in parts) == count
            for money, value in total.values.items():
                # As fractions: a sum of decimals would round at 28 digits.
                assert sum(Fraction(part.values.get(money, 0)) for part in parts) == Fraction(value)
        assert sum(total.counts.total() for total in result.totals.values()) == len(result.credits)


def last_millisecond(credit: Credit, by: Settings) -> bool:
    return credit.touch is not None and credit.time + 1 == credit.touch.time + by.window_at(credit.touch.time)


REACHED: dict[str, Callable[[Credit, Settings], bool]] = {
    "an e-mail's click credited to a named user": lambda credit, _: (
        credit.touch is not None and (credit.user[0], credit.touch.kind) == ("n", "email.click")
    ),
    "a user who is only an alias": lambda credit, _: credit.user[0] == "u" and credit.basis == "touch",
    "a stamp": lambda credit, _: credit.basis == "stamp",
    "a refund": lambda credit, _: credit.basis == "touch" and credit.value is not None and credit.value < 0,
    "a custom interaction that has the credit of itself": lambda credit, _: (
        credit.touch is not None and (credit.touch.time, credit.touch.kind) == (credit.time, credit.event_type)
    ),
    "a touch with a window of its kind's own": lambda credit, by: (
        credit.touch is not None and credit.touch.kind in by.policy_at(credit.touch.time).windows
    ),
    "a credit under the second of two policies": lambda credit, by: (
        credit.touch is not None and by.policy_at(0) != by.policy_at(credit.touch.time)
    ),
    "a stamp that agrees with the touch": lambda credit, _: (
        credit.basis == "touch" and credit.journey_id == credit.stamp
    ),
    "a stamp that does not": lambda credit, _: credit.basis == "touch" and credit.stamp == "unknown",
    "a touch's own millisecond": lambda credit, _: credit.touch is not None and credit.touch.time == credit.time,
    "the last millisecond of a window": last_millisecond,
}


def events(outcomes: Mapping[str, Outcome]) -> int:
    return sum(len(one.credits) for one in outcomes.values())


def touches(outcomes: Mapping[str, Outcome]) -> int:
    return sum(len(one.touches) for one in outcomes.values())


def without_policies(one: Settings) -> Settings:
    return replace(one, policies=[])


def machines_count(one: Settings) -> Settings:
    """But for the opens by machines, which count, the same."""
    return replace(one, policies=[replace(policy, machines=frozenset()) for policy in one.policies])


LEFT_OUT: dict[str, tuple[Callable[[Settings], Settings], Callable[[Mapping[str, Outcome]], int]]] = {
    "an excluded event": (without_policies, events),
    "an open by a machine that does not count": (machines_count, touches),
}


def reached_by(history: History, missing: set[str]) -> Iterator[str]:
    """Which of what is missing a history has in it."""
    results = run(history.records, history.settings)
    for name in missing & REACHED.keys():
        if any(REACHED[name](one, result.settings) for result in results.values() for one in result.credits.values()):
            yield name
    for name in missing & LEFT_OUT.keys():
        changed, count = LEFT_OUT[name]
        others = {application: changed(one) for application, one in history.settings.items()}
        if count(results) < count(run(history.records, others)):
            yield name
    if malformed(history.records) > 1:
        yield "malformed"


QUICK_FROM = 4


def test_generated_histories_reach_what_they_are_for() -> None:
    """A generator that no longer does would make every property pass. What settings and R14 leave out is in it, too."""
    missing = {*REACHED, *LEFT_OUT, "malformed"}

    def complete(history: History) -> bool:
        missing.difference_update(list(reached_by(history, missing)))
        return not missing

    found = settings(max_examples=5_000, database=None, deadline=None, phases=[Phase.generate])
    with suppress(NoSuchExample):
        # From where it is quick, as long as the generator is what it is.
        find(histories(), complete, settings=found, random=random.Random(QUICK_FROM))
    assert not missing


def test_the_model_shares_no_code_with_the_product() -> None:
    imported = set()
    for path in Path(__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                imported.add(str(node.module).split(".")[0])
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 1
    assert not imported & {"app", "chalicelib", "infra", "local", "tests"}
