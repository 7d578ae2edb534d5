"""The REST API of a running ``serve``: lookback windows, pages of events, and what is not known."""

from __future__ import annotations

from itertools import chain
from urllib.parse import quote

import pytest

from tests.e2e.support import DAY, HOUR, MINUTE, Served, credits, eventually, now
from tests.reference.records import email_click, event, iso, send


class TestLookbackWindow:
    """GET and PUT, and what they do to touches."""

    def test_seven_days_out_of_the_box(self, served: Served) -> None:
        answer = served.get("/applications/untouched/lookback-window")
        assert answer == (200, {"days": 7, "effective_from": "1970-01-01T00:00:00.000Z", "history": []})

    @pytest.mark.parametrize(
        "body",
        [
            {"days": 0},
            {"days": -1},
            {"days": 0.0006},
            {"days": 365.1},
            {"days": "7"},
            {"days": True},
            {"days": None},
            {"days": [7]},
            {},
            {"day": 7},
            {"days": 7, "effective_from": "yesterday"},
            {"days": 7, "effective_from": 1700000000000},
            {"days": 7, "effective_from": "1969-12-31"},
            [7],
            7,
            b"{",
            b"",
        ],
        ids=repr,
    )
    def test_what_is_no_window_is_refused_with_a_sentence(self, served: Served, body: object) -> None:
        answer = served.put_json("/applications/refused/lookback-window", body)
        assert answer.status == 400
        assert len(answer.message.split()) > 2
        assert served.get("/applications/refused/lookback-window").body["history"] == []

    def test_a_change_is_effective_from_now_or_from_when_it_says(self, served: Served) -> None:
        path = "/applications/changes/lookback-window"
        before = now()
        answer = served.put_json(path, {"days": 30})
        assert (answer.status, answer.body["days"]) == (200, 30)
        assert iso(before) <= answer.body["effective_from"] <= iso(now())
        first = {"days": 0.5, "effective_from": "2026-01-01T00:00:00.000Z"}
        # What reaches back takes the place of what was set since, as in PUT settings; an offset is an offset.
        answer = served.put_json(path, {"days": 0.5, "effective_from": "2026-01-01T02:00:00+02:00"})
        assert answer == (200, {**first, "history": [first]})
        assert served.get(path) == answer

    def test_a_backdated_one_decides_touches_from_then_on_only(self, served: Served) -> None:
        effective = now() - 5 * DAY
        served.set_window("backdated", 1, iso(effective))
        before, after = effective - 1, effective
        served.put(
            [
                send("backdated", "e1", "j1", before - HOUR, user_name="old"),
                send("backdated", "e2", "j1", before - HOUR, user_name="new"),
                email_click("backdated", "e1", "j1", before),
                email_click("backdated", "e2", "j1", after),
                event("backdated", "two_days_on", before + 2 * DAY, user_name="old"),
                event("backdated", "in_time", after + DAY - 1, user_name="new"),
                event("backdated", "late", after + DAY, user_name="new"),
            ]
        )
        served.settle()
        eventually(lambda: credits(served.events("backdated")), [("two_days_on", "j1"), ("in_time", "j1")])
        assert credits(served.user("backdated", "new")["events"]) == [("late", None), ("in_time", "j1")]


@pytest.fixture(scope="module")
def start(served: Served) -> int:
    """When the click was. Events follow in minutes 1 to 5, three of them at one millisecond in minute 3."""
    start = now() - DAY
    events = [event("pages", f"minute-{n}", start + n * MINUTE, user_name="reader") for n in range(1, 6)]
    events += [event("pages", f"minute-3{n}", start + 3 * MINUTE, user_name="reader") for n in "bc"]
    events += [event("pages", "before", start - MINUTE, user_name="reader")]
    served.put(
        [
            send("pages", "e1", "j1", start - HOUR, user_name="reader"),
            email_click("pages", "e1", "j1", start),
            *events,
        ]
    )
    served.settle()
    return start


class TestPages:
    """``/events`` page by page."""

    @pytest.mark.parametrize("query", [{}, {"journey_id": "j1"}, {"user": "reader"}], ids=str)
    def test_pages_are_the_whole_list_in_order(self, served: Served, start: int, query: dict[str, str]) -> None:
        whole = served.events("pages", **query)
        assert [one["time"] for one in whole] == [iso(start + n * MINUTE) for n in (5, 4, 3, 3, 3, 2, 1)]
        pages = []
        cursor: dict[str, str] = {}
        while True:
            answer = served.get("/applications/pages/events", {**query, "limit": 2, **cursor})
            pages.append(answer.body["items"])
            if answer.body["next_cursor"] is None:
                break
            cursor = {"cursor": answer.body["next_cursor"]}
        assert [len(page) for page in pages] == [2, 2, 2, 1]
        assert list(chain.from_iterable(pages)) == whole

    def test_from_is_included_and_to_is_not(self, served: Served, start: int) -> None:
        found = served.events("pages", start=iso(start + 2 * MINUTE), end=iso(start + 4 * MINUTE))
        assert [one["time"] for one in found] == [iso(start + n * MINUTE) for n in (3, 3, 3, 2)]
        assert credits(served.events("pages", event_type="minute-3b")) == [("minute-3b", "j1")]

    def test_a_cursor_that_was_changed_or_is_of_another_query(self, served: Served, start: int) -> None:
        path = "/applications/pages/events"
        cursor = served.get(path, {"limit": 2}).body["next_cursor"]
        changed = cursor[:-1] + ("A" if cursor[-1] != "A" else "B")
        refused = [
            served.get(path, {"limit": 2, "cursor": changed}),
            served.get(path, {"limit": 2, "cursor": cursor[1:]}),
            served.get(path, {"limit": 2, "cursor": "made up"}),
            served.get(path, {"limit": 2, "cursor": cursor, "journey_id": "j1"}),
            served.get(path, {"limit": 2, "cursor": cursor, "user": "reader"}),
            served.get("/applications/names/events", {"limit": 2, "cursor": cursor}),
        ]
        assert [(one.status, "cursor" in one.message) for one in refused] == [(400, True)] * len(refused)
        # How many a page holds is no part of the question.
        assert served.get(path, {"limit": 3, "cursor": cursor}).status == 200

    def test_unattributed_events_need_a_user(self, served: Served, start: int) -> None:
        answer = served.get("/applications/pages/events", {"journey_id": "unattributed"})
        assert answer.status == 400
        assert "needs a user" in answer.message
        rest = served.events("pages", journey_id="unattributed", user="reader")
        assert [(one["event_type"], one["journey_id"], one["touch"], one["basis"]) for one in rest] == [
            ("before", None, None, None)
        ]


def test_who_is_not_known(served: Served) -> None:
    assert served.get("/health") == (200, {"status": "ok"})
    assert served.get(f"/applications/nowhere/users/{quote('nobody at all')}").status == 404
    report = served.report("nowhere")
    assert report["journeys"] == []
    for part in (report["unattributed"], report["total"]):
        assert (part["events"], part["revenue"]) == ({}, {})
