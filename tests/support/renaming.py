"""Histories under applications of their own, so that many can share one table (and I5 is at work all the time)."""

from __future__ import annotations

import itertools
import re
from typing import Any

from tests.reference.facts import Record, Step

_numbers = itertools.count(1)

NAMED = re.compile(rb'"app_id": "([^"]*[^" ][^"]*)"')
"""An application's id in the bytes of a malformed record, but for a blank one."""


def fresh_suffix() -> str:
    return f" {next(_numbers)}"


def renamed(record: Record, suffix: str) -> Record:
    """The record, told of the application with a suffix."""
    if isinstance(record, bytes):
        return NAMED.sub(rb'"app_id": "\1' + suffix.encode() + b'"', record)
    if isinstance(record, Step):
        return Step(
            {**record.payload, "ApplicationId": f"{record.payload['ApplicationId']}{suffix}"}, record.invoked_at_ms
        )
    application: Any = record.get("application")
    if application is None:
        return record
    told = {**record, "application": {**application, "app_id": f"{application['app_id']}{suffix}"}}
    if str(record["event_type"]).startswith("_email."):
        # Without its arrival an e-mail's interaction has no time (R8), and is quarantined.
        told.setdefault("arrival_timestamp", record["event_timestamp"])
    return told
