"""Hypothesis strategies for histories: what a few users of one or two applications did, as raw records and settings.

The times of a history are few: some moments, a millisecond either side of them, and the ends of the windows counted
from them, so that ties and window edges are common. The names are awkward and the same text serves as user name, UserId
and endpoint id, so that whoever mixes up the kinds is found out. A history shrinks towards few facts of the first user
at the first moment. What single facts are like stands in `happenings.py`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from hypothesis import strategies as st
from hypothesis.vendor.pretty import RepresentationPrinter

from .facts import DAY, INTERACTIONS, Record, Step, dig, integer, text
from .happenings import EVENT_TYPES, FACTS, JOURNEYS, LINK_ATTRIBUTES, LINK_TYPES, Cast, Told, words
from .records import iso, push_opened
from .settings import Custom, Policy, Settings

BASE = 1_774_656_000_000  # 2026-03-28T00:00:00Z, the day before clocks change in Europe
MOMENTS = (BASE, BASE + DAY - 1, BASE + DAY + 3_600_000, BASE + 8 * DAY)  # midnight, its end, the change of clocks
WINDOWS = (3_600_000, DAY, 60_480, 7 * DAY)
APPLICATIONS = ("app-1", "app-2")
NAMES = ("a_b", "x#y", "é ü", "jane@example.com", "-", "100%/a")
USER_IDS = ("u1", "a_b", "x#y", "é ü", "u 2")
ENDPOINTS = ("e1", "e2", "a_b", "x#y", "u1", "-")
JOURNEY_NAMES = ("Spring sale", "j2", "Été #1")
KINDS = (*(kind for kind, _, _ in INTERACTIONS.values()), "journey.step")


@dataclass(repr=False)
class History:
    """Settings by application, records in the order of their telling, and a moment to ask for campaigns at."""

    settings: dict[str, Settings]
    told: list[Told]
    now: int

    @property
    def records(self) -> list[Record]:
        return [told.record for told in self.told]

    def table(self) -> str:
        """The history as a table of steps that a person can follow."""
        lines = [f"settings of {app}: {describe(settings)}" for app, settings in self.settings.items()]
        rows = [("#", "application", "time", "what", "who", "detail")]
        rows += [(str(i), t.app, iso(t.at), t.what, t.who, t.detail) for i, t in enumerate(self.told)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines += [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
        ]
        return "\n".join([*lines, f"campaigns are asked for at {iso(self.now)}"])

    def __repr__(self) -> str:
        return f"History\n{self.table()}\n"

    def _repr_pretty_(self, printer: RepresentationPrinter, cycle: bool) -> None:
        """Hypothesis asks this for how to print a failing example."""
        for line in repr(self).splitlines():
            printer.text(line)
            printer.break_()


def describe(settings: Settings) -> str:
    """What differs from the settings out of the box."""
    said = [f"window of {window} ms from {iso(since)}" for since, window in settings.windows]
    for policy in settings.policies:
        said.append(f"policy from {iso(policy.effective_from)} ({differences(policy, 'effective_from')})")
    return "; ".join([*said, *filter(None, [differences(settings, "windows", "policies")])]) or "out of the box"


def differences(one: Settings | Policy, *but: str) -> str:
    usual = type(one)()
    names = [name for name in vars(usual) if name not in but and getattr(one, name) != getattr(usual, name)]
    return ", ".join(f"{name}={shown(getattr(one, name))}" for name in names)


def shown(value: object) -> str:
    return repr(sorted(value)) if isinstance(value, frozenset) else repr(value)


@st.composite
def times_around(draw: st.DrawFn, windows: Sequence[int]) -> list[int]:
    """A few moments, and a few distances from them: a millisecond, a window, a millisecond less or more."""
    moments = draw(st.lists(st.sampled_from(MOMENTS), min_size=1, max_size=2, unique=True))
    near = [1, -1] + [window + by for window in windows for by in (-1, 0, 1)]
    distances = draw(st.lists(st.sampled_from(near), min_size=1, max_size=4, unique=True))
    return sorted({moment + by for moment in moments for by in [0, *distances]})


def settings_of(
    times: Sequence[int], windows: Sequence[int], journeys: Sequence[str], plain: bool
) -> st.SearchStrategy[Settings]:
    changes = st.lists(st.tuples(st.sampled_from([0, *times]), st.sampled_from(windows)), max_size=3)
    names = st.dictionaries(st.sampled_from(journeys), st.sampled_from(JOURNEY_NAMES), max_size=3)
    if plain:
        return st.builds(Settings, windows=changes, journey_names=names)
    return st.builds(
        Settings,
        windows=changes,
        policies=st.just([]) | st.lists(policies(times, windows), min_size=1, max_size=2),
        journey_names=names,
        username_attribute=st.sampled_from(["username", "login"]),
        username_changes=st.just([])
        | st.lists(st.tuples(st.sampled_from(times), st.sampled_from(["username", "login"])), max_size=2),
        price_metric=st.sampled_from(["price", "amount"]),
        quantity_metric=st.sampled_from([None, "quantity"]),
        currency_attribute=st.sampled_from(["currency", "cur"]),
        default_currency=st.sampled_from(["USD", "EUR"]),
        refund_types=st.sampled_from([frozenset({"refund"}), frozenset(), frozenset({"refund", "purchase"})]),
    )


def some(*of: str) -> st.SearchStrategy[frozenset[str]]:
    """Mostly none of them."""
    return st.sampled_from([frozenset(), frozenset(), *(frozenset({one}) for one in of)])


def policies(times: Sequence[int], windows: Sequence[int]) -> st.SearchStrategy[Policy]:
    """Mostly in force before the history, sometimes from its midst."""
    own_window = st.sampled_from(windows)
    custom = st.builds(
        Custom,
        journey_attribute=st.sampled_from(LINK_ATTRIBUTES),
        channel=st.sampled_from(["custom", "sms"]),
        window=st.none() | own_window,
    )
    types = (*EVENT_TYPES, "link", "_monetization.purchase")
    return st.builds(
        Policy,
        effective_from=st.sampled_from([0, 0, 0, *times]),
        off=some(*KINDS),
        windows=st.dictionaries(st.sampled_from(KINDS), own_window, max_size=2),
        customs=st.dictionaries(st.sampled_from(LINK_TYPES), custom, max_size=2),
        machines=some("Mozilla/5.0"),
        included=st.sampled_from([None, None, None, None, frozenset(types[:4]), frozenset(types[2:])]),
        excluded=some(*types),
    )


@st.composite
def casts(draw: st.DrawFn, plain_settings: bool) -> Cast:
    windows = draw(st.lists(st.sampled_from(WINDOWS), min_size=1, max_size=2, unique=True))
    times = draw(times_around(windows))
    number = draw(st.sampled_from([2, 2, 3, 4]))
    users = list(zip(draw(st.permutations(NAMES))[:number], draw(st.permutations(USER_IDS))[:number], strict=True))
    endpoints = draw(st.permutations(ENDPOINTS))[: draw(st.sampled_from([2, 3, 4, 6]))]
    journeys = list(JOURNEYS)[: draw(st.integers(2, 3))]
    settings = {
        app: draw(settings_of(times, windows, journeys, plain_settings))
        for app in APPLICATIONS[: draw(st.integers(1, 2))]
    }
    return Cast(settings, times, users, endpoints, journeys)


def another_arrival(record: dict[str, object]) -> dict[str, object]:
    arrival = record.get("arrival_timestamp")
    return record | {"arrival_timestamp": arrival + 5_000} if isinstance(arrival, int) else record


def another_telling(record: dict[str, object]) -> dict[str, object]:
    """The same facts from another SDK: other device, other account, numbers as floats, fields in another order."""
    told = dict(reversed(record.items())) | {"device": {"platform": {"name": "ios"}}, "awsAccountId": "210987654321"}
    metrics = record.get("metrics")
    if isinstance(metrics, dict):
        told["metrics"] = {name: float(number) for name, number in reversed(metrics.items())}
    return told


def opened_by_push_too(record: dict[str, object]) -> dict[str, object]:
    """For an e-mail's open or click, a push notification of the same journey opened at the same moment."""
    if record["event_type"] not in ("_email.open", "_email.click"):
        return record
    app, client, journey = (
        dig(record, *path)
        for path in (("application", "app_id"), ("client", "client_id"), ("attributes", "journey_id"))
    )
    at = record.get("arrival_timestamp", record["event_timestamp"])
    return push_opened(str(app), str(client), text(journey), integer(at))


def changed(value: str, *path: str) -> Callable[[dict[str, object]], dict[str, object]]:
    """Another fact that differs in one field, where the record has that field."""

    def change(record: dict[str, object]) -> dict[str, object]:
        name, rest = path[0], path[1:]
        if name not in record:
            return record
        inner = record[name]
        if not rest:
            return record | {name: value}
        return record | {name: changed(value, *rest)(inner)} if isinstance(inner, dict) else record

    return change


MAIL = ("facets", "email_channel", "mail_event")
AGAIN: dict[str, Callable[[dict[str, object]], dict[str, object]]] = {
    "delivered twice": dict,
    "again, arrived later": another_arrival,
    "again, told otherwise": another_telling,
    "and a push opened": opened_by_push_too,
    "again, other journey": changed("j10", "attributes", "journey_id"),
    "again, other run": changed("run-3", "attributes", "journey_run_id"),
    "again, other activity": changed("activity-3", "attributes", "journey_activity_id"),
    "again, other session": changed("s-3", "session", "session_id"),
    "again, other message": changed("m-3", *MAIL, "mail", "message_id"),
    "again, other link": changed("https://example.com/c", *MAIL, "click", "link"),
}


def repeated(told: Told, how: str) -> Told:
    if isinstance(told.record, Step):
        called_later = Step(told.record.payload, told.record.invoked_at_ms + 1_000)
        return replace(told, detail=words(told.detail, "called again a second later"), record=called_later)
    if isinstance(told.record, bytes):
        return replace(told, detail=words(told.detail, "delivered twice"))
    return replace(told, detail=words(told.detail, how), record=AGAIN[how](dict(told.record)))


@st.composite
def histories(draw: st.DrawFn, *, max_facts: int = 24, max_repeats: int = 6, plain_settings: bool = False) -> History:
    """Histories of at most `max_facts` records and `max_repeats` repeats of some of them.

    With `plain_settings` only the windows and the names of journeys vary.
    """
    cast = draw(casts(plain_settings))
    fact = st.sampled_from(FACTS).flatmap(lambda kind: kind(cast))
    # Several short lists are longer on average than one long list, and shrink as well.
    told = [one for some in range(0, max_facts, 8) for one in draw(st.lists(fact, max_size=min(8, max_facts - some)))]
    if told:
        repeats = st.lists(st.tuples(st.sampled_from(told), st.sampled_from(list(AGAIN))), max_size=max_repeats)
        told = told + [repeated(one, how) for one, how in draw(repeats)]
    return History(cast.settings, told, draw(st.sampled_from(cast.times)))


@st.composite
def deliveries(draw: st.DrawFn, history: History) -> list[list[Record]]:
    """The records of a history in any order, some of them more than once, cut into batches."""
    indexes = range(len(history.told))
    if not indexes:
        return []
    order = draw(st.permutations(indexes)) + draw(st.lists(st.sampled_from(indexes), max_size=4))
    cuts = sorted(draw(st.sets(st.integers(1, len(order)), max_size=4)) | {0, len(order)})
    return [[history.records[i] for i in order[a:b]] for a, b in pairwise(cuts)]
