"""Settings as people read them: what holds, what is saved and waits, and who changed what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from local.terminal.screen import NONE, Screen, moment, table_of

BELOW = "  "
HOLDS = {"now": "at once", "later": "from its time on", "rebuild": "with the next rebuild for the past"}


def print_settings(screen: Screen, application: str, document: Mapping[str, Any]) -> None:
    """A document as ``GET settings`` answers it: a line a field, parts indented, by the names that it has there."""
    screen.say(f"Settings of {application}, version {document.get('version', NONE)}", "bold")
    fields = {name: value for name, value in document.items() if name not in ("version", "waiting")}
    table = table_of()
    table.show_header = False
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _lines(fields):
        table.add_row(screen.text(name), screen.text(value))
    screen.console.print(table)
    waiting = document.get("waiting") or []
    if not waiting:
        screen.say("All of it holds now; nothing is waiting.", "dim")
        return
    screen.console.print()
    screen.say("Saved, and does not hold yet", "bold")
    rows = [(_from_when(one), change) for one in waiting for change in one["changes"]]
    _print_changes(screen, "From", rows)


def print_history(screen: Screen, application: str, entries: Sequence[Mapping[str, Any]]) -> None:
    """Who changed what and when, newest first."""
    screen.say(f"Changes of the settings of {application}, newest first", "bold")
    if not entries:
        screen.say("They were never changed.", "dim")
    for entry in entries:
        since = entry["effective_from"]
        holds = "" if since == entry["time"] else f", to hold from {moment(since)}"
        screen.console.print()
        screen.say(f"Version {entry['version']}: {moment(entry['time'])} UTC by {entry['by']}{holds}")
        _print_changes(screen, "Holds", [(HOLDS.get(one["holds"], one["holds"]), one) for one in entry["changes"]])


def told(value: object) -> str:
    """A value of JSON for people."""
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {told(part)}" for name, part in value.items()) or "none"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "; ".join(told(part) for part in value) or "none"
    return str(value)


def _lines(fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in fields.items():
        if isinstance(value, Mapping) and value:
            yield name, ""
            for part, inner in value.items():
                yield f"{BELOW}{part}", _interaction(inner) if name == "interactions" else told(inner)
        else:
            yield name, told(value)


def _interaction(value: object) -> str:
    if not isinstance(value, Mapping) or set(value) != {"counts", "window_days"}:
        return told(value)
    if not value["counts"]:
        return "no touch"
    days = value["window_days"]
    return "a touch, the application's window" if days is None else f"a touch, window of {days} days"


def _from_when(waiting: Mapping[str, Any]) -> str:
    since = waiting.get("effective_from")
    if waiting["holds"] == "rebuild":
        return "the next rebuild" if since is None else f"{moment(since)}, with the next rebuild"
    return NONE if since is None else moment(since)


def _print_changes(screen: Screen, first: str, rows: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    table = table_of()
    for heading in ("Field", "Before", "After", first):
        table.add_column(heading, overflow="fold")
    for when, change in rows:
        cells = (change["field"], told(change["from"]), told(change["to"]), when)
        table.add_row(*map(screen.text, cells))
    screen.console.print(table)
