"""The settings document as a marketer sees it, whole, at a time; and what saving one makes of the stored versions.

Pure. What is saved holds from a time on, up to the next version that is later than now: so what was planned stays, and
one that reaches back takes the place of all that held since. What totals depend on is never changed for what a
generation of views may have counted (R13): it is changed from now on, and before that for the next generation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any, Literal

import msgspec

from chalicelib.attribution.touches import COUNTS, STRENGTH
from chalicelib.settings.model import (
    DEFAULT_VALUE,
    EVERYTHING,
    CognitoSettings,
    DayZone,
    Policy,
    Settings,
    ValueSettings,
    Version,
    Window,
    in_force,
    seen_by,
)

Holds = Literal["now", "later", "rebuild"]
"""``now``: from the moment it was saved. ``later``: from ``effective_from``. ``rebuild``: for what is yet to come now,
for what was before with the next rebuild.
"""

Fields = Mapping[str, Any]

UNVERSIONED = ("username_attribute", "retention_days", "cognito.")
ZONE = "time_zone"

MOST_WAITING = 20
"""Changes that are shown as not in force yet."""


class Document(msgspec.Struct, frozen=True):
    """What holds at a time. Policy and value are of no time here."""

    window_days: Decimal
    policy: Policy
    value: ValueSettings
    username_attribute: str
    cognito: CognitoSettings
    retention_days: int | None
    time_zone: str


class Change(msgspec.Struct, frozen=True):
    """A field that another document says differently, by its name in the API and in its JSON values."""

    field: str
    before: Any
    after: Any
    holds: Holds


class Waiting(msgspec.Struct, frozen=True):
    """Changes that are saved and do not hold yet; ``effective_from`` (ms UTC) is None for what knows no time."""

    effective_from: int | None
    holds: Holds
    changes: tuple[Change, ...]


def document_at(settings: Settings, time: int) -> Document:
    """What was saved for a time, whether the generation that is served sees it or the next one will."""
    return _held(settings.in_generation(settings.next_generation), time)


def saved(settings: Settings, wanted: Document, effective_from: int, now: int, *, has_facts: bool = True) -> Settings:
    """The settings with a whole document in force from a time (ms UTC) on. If it says nothing new they are the same.

    Another attribute of the user name holds for records from ``now`` on, because what is stored was read by the former
    one. Where the application has no facts yet it holds for records of all times.
    """
    settings = saved_window(settings, wanted.window_days, effective_from, now)
    if settings.username_attribute != wanted.username_attribute:
        settings = settings.with_username_attribute(wanted.username_attribute, now if has_facts else 0)
    number = settings.next_generation
    if document_at(settings, now).time_zone != wanted.time_zone:
        settings = settings.with_zone(DayZone(wanted.time_zone, number))
    span = (effective_from, now)
    return msgspec.structs.replace(
        settings,
        policies=_with_version(settings, settings.policies, wanted.policy, (EVERYTHING, _policy_fields), span),
        values=_with_version(settings, settings.values, wanted.value, (DEFAULT_VALUE, _value_fields), span),
        cognito=wanted.cognito,
        retention_days=wanted.retention_days,
    )


def saved_window(settings: Settings, days: Decimal, effective_from: int, now: int) -> Settings:
    """The settings with another lookback window from a time (ms UTC) on: whichever way it is saved, it is this.

    It takes the place of all that held from then until now; what is planned for later stays. A touch has the window
    that holds when it is projected (R2), so there is nothing to keep for a generation.
    """
    end = max(effective_from, now)
    replaced = [one for one in settings.windows if effective_from <= one.effective_from <= end]
    if settings.window_at(effective_from).days == days and all(one.days == days for one in replaced):
        return settings
    kept = tuple(one for one in settings.windows if one not in replaced)
    return msgspec.structs.replace(settings, windows=kept).with_window(Window(days, effective_from))


def changes_between(before: Settings, after: Settings, effective_from: int, now: int) -> tuple[Change, ...]:
    """The fields that differ once settings that hold from a time (ms UTC) on are saved, in the document's order."""
    found: dict[str, Change] = {}
    for time in (effective_from, max(effective_from, now)):
        former, latter = (fields_of(document_at(one, time)) for one in (before, after))
        for one in differences(former, latter, effective_from, now):
            found.setdefault(one.field, one)
    order = [*fields_of(document_at(after, now)), *found]
    return tuple(sorted(found.values(), key=lambda one: order.index(one.field)))


def changes_of(settings: Settings, wanted: Document, effective_from: int, now: int) -> tuple[Change, ...]:
    """The fields that saving a document changes."""
    return changes_between(settings, saved(settings, wanted, effective_from, now), effective_from, now)


def waiting(settings: Settings, now: int, limit: int = MOST_WAITING) -> list[Waiting]:
    """What is saved and does not hold yet: first what a rebuild will bring, then what time will, each by its time.

    The first ``limit`` of them: there may be as many as there are versions.
    """
    return list(islice(_waiting(settings, now), limit))


def _waiting(settings: Settings, now: int) -> Iterator[Waiting]:
    ahead = settings.in_generation(settings.next_generation)
    if settings.time_zone != ahead.time_zone:
        yield Waiting(None, "rebuild", (Change(ZONE, settings.time_zone, ahead.time_zone, "rebuild"),))
    versions: list[Policy | ValueSettings] = [*settings.policies, *settings.values]
    hidden = {one.effective_from for one in versions if one.since_generation > settings.generation}
    former: tuple[Change, ...] = ()
    for time in sorted(one for one in hidden if one <= now):
        changes = _versioned_differences(_held(settings, time), _held(ahead, time), "rebuild")
        if changes and changes != former:
            yield Waiting(time, "rebuild", changes)
            former = changes
    timed: list[Policy | ValueSettings | Window] = [*settings.windows, *ahead.policies, *ahead.values]
    planned = {one.effective_from for one in timed}
    for time in sorted(one for one in planned if one > now):
        if changes := _versioned_differences(_held(ahead, time - 1), _held(ahead, time), "later"):
            yield Waiting(time, "later", changes)


def differences(before: Fields, after: Fields, effective_from: int, now: int) -> list[Change]:
    """The fields of two documents that differ, and when those of the second will hold."""
    return [
        Change(name, before.get(name), after.get(name), _holds(name, effective_from, now))
        for name in dict.fromkeys([*after, *before])
        if before.get(name) != after.get(name)
    ]


def fields_of(document: Document) -> Fields:
    """A document's fields by their names in the API."""
    return {
        "lookback_window_days": number(document.window_days),
        **_policy_fields(document.policy),
        **_value_fields(document.value),
        "username_attribute": document.username_attribute,
        **{f"cognito.{name}": value for name, value in msgspec.structs.asdict(document.cognito).items()},
        "retention_days": document.retention_days,
        ZONE: document.time_zone,
    }


def number(days: Decimal | None) -> int | float | None:
    """A number of days as JSON has it."""
    if days is None:
        return None
    return int(days) if days == days.to_integral_value() else float(days)


def _policy_fields(policy: Policy) -> Fields:
    kinds = {kind: policy.interactions.get(kind, COUNTS) for kind in sorted(STRENGTH)}
    included = policy.included_events
    return {
        **{f"interactions.{kind}.counts": one.counts for kind, one in kinds.items()},
        **{f"interactions.{kind}.window_days": number(one.days) for kind, one in kinds.items()},
        "custom_interactions": [
            {
                "event_type": one.event_type,
                "journey_attribute": one.journey_attribute,
                "channel": one.channel,
                "window_days": number(one.days),
            }
            for one in policy.custom_interactions
        ],
        "machine_opens.ignore": policy.ignore_machine_opens,
        "machine_opens.user_agents": sorted(policy.machine_user_agents),
        "events.included": None if included is None else sorted(included),
        "events.excluded": sorted(policy.excluded_events),
    }


def _value_fields(value: ValueSettings) -> Fields:
    return {
        "value.price_metric": value.price_metric,
        "value.quantity_metric": value.quantity_metric,
        "value.currency_attribute": value.currency_attribute,
        "value.default_currency": value.default_currency,
        "value.refund_types": sorted(value.refund_types),
        "value.currencies": sorted(value.currencies),
    }


def _held(settings: Settings, time: int) -> Document:
    return Document(
        window_days=settings.window_at(time).days,
        policy=msgspec.structs.replace(settings.policy_at(time), effective_from=0, since_generation=0),
        value=msgspec.structs.replace(settings.value_at(time), effective_from=0, since_generation=0),
        username_attribute=settings.username_attribute,
        cognito=settings.cognito,
        retention_days=settings.retention_days,
        time_zone=settings.time_zone,
    )


def _holds(name: str, effective_from: int, now: int) -> Holds:
    if name.startswith(UNVERSIONED):
        return "now"
    if name == ZONE or effective_from < now:
        return "rebuild"
    return "later" if effective_from > now else "now"


def _versioned_differences(before: Document, after: Document, holds: Holds) -> tuple[Change, ...]:
    found = differences(fields_of(before), fields_of(after), 0, 0)
    return tuple(msgspec.structs.replace(one, holds=holds) for one in found if one.field != ZONE)


def _with_version(
    settings: Settings,
    versions: Sequence[Version],
    wanted: Version,
    kind: tuple[Version, Callable[[Version], Fields]],
    span: tuple[int, int],
) -> tuple[Version, ...]:
    default, fields = kind
    start, now = span

    def says_so(version: Version | None) -> bool:
        return fields(version or default) == fields(wanted)

    ahead = seen_by(versions, settings.next_generation)
    points = [start, *(one.effective_from for one in ahead if start < one.effective_from <= now)]
    if all(says_so(in_force(ahead, point, 0)) for point in points):
        return tuple(versions)
    if start >= now:
        kept = [one for one in versions if one.effective_from != start]
        return _sorted([*kept, _placed(wanted, start, 0)])
    added = [_placed(wanted, point, settings.next_generation) for point in points]
    if not says_so(in_force(versions, now, settings.generation)):
        added.append(_placed(wanted, now, 0))
    taken = {(one.effective_from, one.since_generation) for one in added}
    return _sorted([*(one for one in versions if (one.effective_from, one.since_generation) not in taken), *added])


def _placed(wanted: Version, effective_from: int, since_generation: int) -> Version:
    placed: Any = wanted
    return msgspec.structs.replace(placed, effective_from=effective_from, since_generation=since_generation)  # type: ignore[no-any-return]


def _sorted(versions: Iterable[Version]) -> tuple[Version, ...]:
    return tuple(sorted(versions, key=lambda one: (one.effective_from, one.since_generation)))
