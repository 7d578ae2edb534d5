"""Which type an answer has, by ``Accept``."""

from __future__ import annotations

import pytest

from chalicelib.api.negotiation import preferred

OFFERED = ("application/json", "text/csv", "application/x-ndjson")


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, "application/json"),
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/csv", "text/csv"),
        ("TEXT/CSV; charset=utf-8", "text/csv"),
        ("text/*", "text/csv"),
        ("application/*", "application/json"),
        ("application/x-ndjson", "application/x-ndjson"),
        ("text/csv, application/json", "application/json"),
        ("text/csv, application/json;q=0.9", "text/csv"),
        ("application/json;q=0, */*", "text/csv"),
        ("text/csv;q=0, text/*;q=0.5", None),
        ("*/*;q=0.1, application/x-ndjson;q=0.2", "application/x-ndjson"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "application/json"),
        ("text/html", None),
        ("application/json;q=0", None),
        ("application/json;q=0.000", None),
        # What is no range, or has no quality, is passed over.
        ("csv", None),
        ("text/csv;q=high, application/json", "application/json"),
        (",,text/csv,", "text/csv"),
        ("image/png, application/json;q=0.5", "application/json"),
    ],
)
def test_the_best_of_what_is_acceptable(accept: str | None, chosen: str | None) -> None:
    assert preferred(accept, OFFERED) == chosen
