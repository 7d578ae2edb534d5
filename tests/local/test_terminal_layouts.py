"""What the terminal shows of reports, comparisons and settings: the figures, that they add up, and their alignment."""

from __future__ import annotations

import io
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from rich.cells import cell_len
from rich.console import Console

from chalicelib.api.schemas.reports import ReportAnswer
from chalicelib.api.schemas.values import parse
from chalicelib.reports.comparison import Comparison
from local.terminal.compare_command import print_comparison
from local.terminal.journeys_command import print_journeys
from local.terminal.report_lines import NoSuchJourney, lines_of
from local.terminal.report_plot import measure_of, print_plot
from local.terminal.report_table import print_report, title_of
from local.terminal.screen import Screen, harmless
from local.terminal.settings_layout import print_history, print_settings

RULE = "─" * 129
ROOMY = f"""\
Journey       Sends  Opens  Clicks  Reached  Converters   Rate  Events     EUR   USD        Cost     ROI  ROAS\
  Share of events
{RULE}
Spring sale      40     30      10       20           5  25.0%       8  150.00     -  100.00 EUR  +50.0%  1.50\
   40.0% ████
春のセール       10      4       -        4           1  25.0%       2   30.50  5.00           -       -     -\
   10.0% █
Unattributed                                                        10   19.50     -                          \
   50.0% █████
{RULE}
Total            50     34      10                                  20  200.00  5.00  100.00 EUR  +50.0%  1.50\
  100.0% ██████████"""


class Paper:
    """A screen of a width that keeps what is shown on it."""

    def __init__(self, width: int, encoding: str = "utf-8") -> None:
        self._bytes = io.BytesIO()
        self._file = io.TextIOWrapper(self._bytes, encoding=encoding)
        self.screen = Screen(Console(file=self._file, width=width, color_system=None, highlight=False))

    @property
    def lines(self) -> list[str]:
        self._file.flush()
        return [line.rstrip() for line in self._bytes.getvalue().decode(self._file.encoding).splitlines()]


def figures(events: dict[str, int], revenue: dict[str, str]) -> dict[str, Any]:
    return {"events": events, "revenue": revenue}


def journey(name: str, **given: Any) -> dict[str, Any]:
    events = given.get("events", {})
    return {
        "journey_id": f"id-{name}",
        "name": name,
        "sends": 0,
        "touches": {},
        "reached": 0,
        "converters": 0,
        "events": events,
        "revenue": {},
        "conversion_rate": None,
        "people": "exact",
        "time_to_conversion": None,
        "stamps": None,
        "cost": None,
        "cost_per_conversion": None,
        "roi": None,
        "roas": None,
        "roi_reason": "No cost is set.",
        "goal": None,
        "starts": None,
        "ends": None,
        "share": {"events": None, "revenue": {}},
        **given,
    }


NO_RETURNS = {"cost": None, "cost_per_conversion": None, "roi": None, "roas": None, "roi_reason": "No cost is set."}
SPRING = journey(
    "Spring sale",
    sends=40,
    touches={"email.click": 10, "email.open": 30},
    reached=20,
    converters=5,
    conversion_rate="0.2500",
    events={"product_view": 2, "purchase": 6},
    revenue={"EUR": "150.00"},
    cost={"amount": "100.00", "currency": "EUR"},
    cost_per_conversion="16.6667",
    roi="0.5000",
    roas="1.5000",
    roi_reason=None,
    goal={
        "event_type": "purchase",
        "events": 6,
        "converters": 5,
        "target_count": 24,
        "target_revenue": None,
        "revenue": None,
        "progress": "0.2500",
    },
    starts="2026-03-01T00:00:00.000Z",
)
HARU = journey(
    "春のセール",
    sends=10,
    touches={"email.open": 4},
    reached=4,
    converters=1,
    conversion_rate="0.2500",
    events={"purchase": 2},
    revenue={"EUR": "30.50", "USD": "5.00"},
)


def report_of(**changes: Any) -> ReportAnswer:
    """Two journeys with 8 and 2 of 20 events, and 10 that no journey has."""
    document = {
        "from": "2026-03-01",
        "to": "2026-03-04",
        "date": "event",
        "by": "whole",
        "time_zone": "Europe/Berlin",
        "journeys": [HARU, SPRING],
        "application": {
            "sends": 50,
            "touches": {"email.click": 10, "email.open": 34},
            "touches_of_unnamed_journeys": 0,
            **figures({"product_view": 2, "purchase": 8}, {"EUR": "180.50", "USD": "5.00"}),
            **{one: SPRING[one] for one in NO_RETURNS},
        },
        "unattributed": figures({"product_view": 5, "purchase": 5}, {"EUR": "19.50"}),
        "total": figures({"product_view": 7, "purchase": 13}, {"EUR": "200.00", "USD": "5.00"}),
        "events_set_aside": 0,
        "periods": None,
        **changes,
    }
    return msgspec.convert(document, ReportAnswer, dec_hook=parse)


def shown(width: int, *wanted: str, report: ReportAnswer | None = None, encoding: str = "utf-8") -> list[str]:
    paper, report = Paper(width, encoding), report or report_of()
    print_report(paper.screen, report, lines_of(report, wanted), wanted)
    return paper.lines


class TestReport:
    """The table."""

    def test_has_all_figures_side_by_side_where_there_is_room(self) -> None:
        assert "\n".join(shown(130)[:7]) == ROOMY

    def test_says_below_what_the_events_are_and_how_far_the_goal_is(self) -> None:
        assert shown(130)[7:] == [
            "Events by type: 13 purchase, 7 product_view",
            "Cost is all that a journey cost, whatever the period; the total's ROI is of the journeys with a cost.",
            "",
            "Goal          Reached in the period",
            "─" * (12 + 2 + 21 + 2 + 10),
            "Spring sale   6 of 24 purchase        25.0% ██▌",
        ]

    def test_on_a_narrow_terminal_is_two_tables_and_loses_no_figure(self) -> None:
        lines = shown(72)
        assert all(cell_len(line) <= 72 for line in lines)
        text = "\n".join(lines)
        assert text.count("Spring sale") == 3  # in each table, and with its goal
        for figure in (" 40 ", " 30 ", " 20 ", "25.0%", "150.00", "100.00 EUR", "+50.0%", "1.50", "40.0%", "200.00"):
            assert figure in text, figure
        unattributed = [line for line in lines if line.startswith("Unattributed")]
        assert len(unattributed) == 1, "it has no figures of people"

    @pytest.mark.parametrize("width", range(48, 140))
    def test_no_heading_and_no_figure_is_cut_off_at_any_width(self, width: int) -> None:
        lines = shown(width)
        assert all(cell_len(line) <= width for line in lines)
        text = " ".join(" ".join(lines).split())
        assert "Share of events" in text or "Share" in [one for line in lines for one in line.split()[-1:]]
        for whole in ("Converters", "25.0%", "100.00 EUR", "+50.0%", "1.50 ", "150.00", "200.00", "40.0%", "100.0%"):
            assert whole in text, whole

    def test_journeys_that_are_not_asked_for_are_one_line_so_that_it_adds_up(self) -> None:
        lines = lines_of(report_of(), ["id-春のセール"])
        assert [one.name for one in lines.above_total] == ["春のセール", "Other journeys", "Unattributed"]
        assert lines.others is not None
        assert (lines.others.sends, lines.others.touches) == (40, {"email.click": 10, "email.open": 30})
        assert (lines.others.reached, lines.others.converters) == (None, None), "people may be in several journeys"
        assert sum(one.events for one in lines.above_total) == lines.total.events == 20
        euros = sum((one.revenue.get("EUR", Decimal(0)) for one in lines.above_total), Decimal(0))
        assert euros == lines.total.revenue["EUR"] == Decimal("200.00")
        assert sum((one.share or Decimal(0) for one in lines.above_total), Decimal(0)) == 1

    def test_a_journey_is_found_by_its_name_too_and_an_unknown_one_is_named(self) -> None:
        assert [one.name for one in lines_of(report_of(), ["Spring sale"]).journeys] == ["Spring sale"]
        with pytest.raises(NoSuchJourney, match="no journey winter; it has: Spring sale, 春のセール"):
            lines_of(report_of(), ["winter"])

    def test_by_the_day_of_the_touch_the_journeys_are_the_whole(self) -> None:
        report = report_of(date="touch", unattributed=None, total=None)
        lines = lines_of(report)
        assert lines.unattributed is None
        assert (lines.total.events, [one.share for one in lines.journeys]) == (10, [Decimal("0.8"), Decimal("0.2")])
        assert title_of(report) == (
            "from 2026-03-01 up to 2026-03-04, not included, Europe/Berlin; events by the day of their touch"
        )

    def test_says_why_there_is_no_roi(self) -> None:
        reason = "Revenue is in USD, the cost in EUR; amounts are never converted."
        costly = {**HARU, "cost": {"amount": "7.00", "currency": "EUR"}, "roi_reason": reason}
        assert f"No ROI of 春のセール: {reason}" in shown(130, report=report_of(journeys=[costly, SPRING]))

    def test_a_terminal_that_knows_only_ascii_gets_nothing_else(self) -> None:
        lines = shown(160, encoding="ascii")
        assert all(line.isascii() for line in lines)
        haru = next(line for line in lines if line.startswith("?????"))
        spring = next(line for line in lines if line.startswith("Spring"))
        assert haru.index("10.0% #") == spring.index("40.0% ####")

    def test_names_do_nothing_to_the_terminal_and_are_no_markup(self) -> None:
        evil = {**HARU, "name": "\x1b[2J[red]x\u202e", "revenue": {"[RED]": "1.00"}}
        report = report_of(journeys=[evil], total=figures({"\x1b]0;x": 1}, {"[RED]": "1.00"}))
        text = "\n".join(shown(160, report=report))
        assert "\x1b" not in text
        assert "\\x1b[2J[red]x\\u202e" in text
        assert "[RED]" in text

    def test_an_empty_one_is_shown_too(self) -> None:
        nothing = figures({}, {})
        application = {"sends": 0, "touches": {}, "touches_of_unnamed_journeys": 0, **nothing, **NO_RETURNS}
        report = report_of(journeys=[], application=application, unattributed=nothing, total=nothing)
        lines = shown(80, report=report)
        assert lines[0].split() == [
            "Journey",
            "Sends",
            "Reached",
            "Converters",
            "Rate",
            "Events",
            "Share",
            "of",
            "events",
        ]
        assert lines[-1] == "Events by type: none"


def test_harmless_leaves_letters_of_all_scripts_and_line_breaks() -> None:
    assert harmless("春\u3000é\u00a0🎁\n\x07\u200b") == "春 é 🎁\n\\x07\\u200b"


def by_day(*days: tuple[int, int]) -> ReportAnswer:
    """Purchases of both journeys on each day from 1 March 2026 on, a Sunday, each of 10 EUR."""
    periods = [
        {
            "from": f"2026-03-{at:02}",
            "to": f"2026-03-{at + 1:02}",
            "journeys": [
                {**SPRING, "events": {"purchase": first}, "revenue": {"EUR": f"{first * 10}.00"}},
                {**HARU, "events": {"purchase": second}, "revenue": {"EUR": f"{second * 10}.00"}},
            ],
            "application": report_of().application,
            "unattributed": None,
            "total": None,
        }
        for at, (first, second) in enumerate(days, 1)
    ]
    application = msgspec.to_builtins(report_of().application)
    return report_of(by="day", periods=[{**one, "application": application} for one in periods])


def plotted(width: int, report: ReportAnswer, plot: str, *wanted: str, encoding: str = "utf-8") -> list[str]:
    paper = Paper(width, encoding)
    print_plot(paper.screen, report, plot, wanted)
    return paper.lines


class TestPlot:
    """Bars by day."""

    def test_the_longest_bar_is_the_greatest_day_and_others_in_proportion(self) -> None:
        # 60 columns: 14 of the day, 1 of the number, 2 and 2 between, 1 spare: 40 for a bar of 4.
        assert plotted(60, by_day((4, 0), (0, 0), (1, 1)), "conversions") == [
            "",
            "Conversions (credited events) of all journeys by day",
            "Sun 2026-03-01  4  " + "█" * 40,
            "Mon 2026-03-02  -",
            "Tue 2026-03-03  2  " + "█" * 20,
            "",
            "Journey       Total  Highest bar: 4",
            "───────────────────────────────────",
            # A quarter of the height is two eighths.
            "Spring sale       5  █·▂",
            "春のセール        1  ··▂",
        ]

    def test_revenue_and_one_journey_alone(self) -> None:
        lines = plotted(60, by_day((4, 3), (2, 3)), "revenue:eur", "Spring sale")
        assert lines[1:] == [
            "Revenue in EUR by day",
            # 36 columns beside the 5 of 40.00.
            "Sun 2026-03-01  40.00  " + "█" * 36,
            "Mon 2026-03-02  20.00  " + "█" * 18,
        ]

    def test_refunds_have_a_bar_and_a_minus(self) -> None:
        lines = plotted(60, by_day((-1, 0), (2, 0)), "revenue:EUR")
        assert lines[2].split() == ["Sun", "2026-03-01", "-10.00", "█" * 17 + "▌"]
        assert next(line for line in lines if line.startswith("Spring sale")).endswith("  -█")

    def test_in_ascii(self) -> None:
        lines = plotted(60, by_day((4, 0), (0, 0), (1, 1)), "conversions:purchase", encoding="ascii")
        assert all(line.isascii() for line in lines)
        assert lines[1] == "Conversions of type purchase of all journeys by day"
        assert lines[2].endswith("|" + "#" * 40)

    def test_neighbouring_days_are_added_up_where_a_line_has_no_room(self) -> None:
        paper = Paper(40)
        print_plot(paper.screen, by_day(*[(1, 0)] * 30), "conversions", ())
        # 30 days in 20 columns: two days each, 15 bars of 2.
        assert next(line for line in paper.lines if line.startswith("Spring sale")).endswith("  " + "█" * 15)
        assert "A bar is 2 neighbouring periods." in paper.lines

    @pytest.mark.parametrize("name", ["", "revenue", "revenue:", "roi", "converters"])
    def test_what_cannot_be_added_up_is_not_plotted(self, name: str) -> None:
        with pytest.raises(ValueError, match="--plot takes"):
            measure_of(name)


def test_journeys_are_listed_by_name_with_what_a_conversion_cost() -> None:
    paper = Paper(150)
    print_journeys(paper.screen, "shop", report_of().journeys)
    spring = next(line for line in paper.lines if line.startswith("Spring"))
    assert tuple(spring.split()) == (
        *("Spring", "sale", "id-Spring", "sale", "2026-03-01", "-"),
        *("5", "8", "100.00", "EUR", "16.67", "+50.0%"),
        *("6", "of", "24", "purchase", "(25.0%)"),
    )
    narrow = Paper(60)
    print_journeys(narrow.screen, "shop", report_of().journeys)
    assert all(cell_len(line) <= 60 for line in narrow.lines)
    assert "16.67" in "\n".join(narrow.lines)


def test_models_stand_side_by_side_with_all_digits_and_points_below_one_another() -> None:
    def share(events: str, euros: str) -> dict[str, Any]:
        return {"events": events, "revenue": {"EUR": euros}}

    rounding = share("0.0000003", "0.003")
    comparison = msgspec.convert(
        {
            "from": "1970-01-01T00:00:00.000Z",
            "to": "2026-04-01T00:00:00.000Z",
            "event_type": None,
            "half_life_days": "7",
            "events": 3,
            "journeys": [
                {"journey_id": "a", "name": "Spring", "models": {
                    "last_touch": share("1", "5.00"), "linear": share("1.333333", "6.67")}},
                {"journey_id": "b", "name": "夏", "models": {
                    "last_touch": share("2", "10.00"), "linear": share("1.666667", "8.33")}},
            ],
            "totals": {
                "last_touch": {**share("3", "15.00"), "largest_rounding": rounding},
                "linear": {**share("3", "15.00"), "largest_rounding": rounding},
            },
            "definitions": {"last_touch": "L.", "linear": "I.", "same_events": "S."},
        },
        Comparison,
    )  # fmt: skip
    paper = Paper(60)
    print_comparison(paper.screen, "shop", comparison)
    rule = "──────────────────────────────"
    assert paper.lines == [
        "Attribution models of shop: 3 credited events",
        "up to 2026-04-01 00:00:00 UTC, not included",
        "Events      Last touch    Linear",
        rule + "──",
        "夏            2.000000  1.666667",
        "Spring        1.000000  1.333333",
        rule + "──",
        "Total         3.000000  3.000000",
        "",
        "EUR         Last touch  Linear",
        rule,
        "夏               10.00    8.33",
        "Spring            5.00    6.67",
        rule,
        "Total            15.00   15.00",
        "",
        "Last touch: L.",
        "Linear: I.",
        "Same events: S.",
    ]


SETTINGS: dict[str, Any] = {
    "lookback_window_days": 7,
    "interactions": {
        "email.click": {"counts": True, "window_days": None},
        "email.open": {"counts": True, "window_days": 2.5},
        "journey.step": {"counts": False, "window_days": None},
    },
    "custom_interactions": [],
    "events": {"included": None, "excluded": ["a", "b"]},
    "version": 4,
    "waiting": [],
}
CHANGE = {"field": "lookback_window_days", "from": 7, "to": 3, "holds": "later"}


class TestSettings:
    """As people read them."""

    def test_what_holds(self) -> None:
        paper = Paper(80)
        print_settings(paper.screen, "shop", SETTINGS)
        assert paper.lines == [
            "Settings of shop, version 4",
            "lookback_window_days  7",
            "interactions",
            "  email.click         a touch, the application's window",
            "  email.open          a touch, window of 2.5 days",
            "  journey.step        no touch",
            "custom_interactions   none",
            "events",
            "  included            not set",
            "  excluded            a; b",
            "All of it holds now; nothing is waiting.",
        ]

    def test_what_waits_and_for_what(self) -> None:
        paper = Paper(80)
        rebuild = {"field": "time_zone", "from": "UTC", "to": "Europe/Berlin", "holds": "rebuild"}
        waiting = [
            {"effective_from": None, "holds": "rebuild", "changes": [rebuild]},
            {"effective_from": "2026-12-01T00:00:00.000Z", "holds": "later", "changes": [CHANGE]},
        ]
        print_settings(paper.screen, "shop", {"version": 4, "waiting": waiting})
        assert paper.lines[-5:] == [
            "Saved, and does not hold yet",
            "Field                 Before  After          From",
            "─" * (20 + 2 + 6 + 2 + 13 + 2 + 19),
            "time_zone             UTC     Europe/Berlin  the next rebuild",
            "lookback_window_days  7       3              2026-12-01 00:00:00",
        ]

    def test_history_says_who_when_and_what(self) -> None:
        paper = Paper(80)
        entry = {
            "version": 5,
            "time": "2026-11-24T10:00:00.000Z",
            "by": "jane",
            "effective_from": "2026-12-01T00:00:00.000Z",
            "changes": [CHANGE],
        }
        print_history(paper.screen, "shop", [entry])
        assert paper.lines == [
            "Changes of the settings of shop, newest first",
            "",
            "Version 5: 2026-11-24 10:00:00 UTC by jane, to hold from 2026-12-01 00:00:00",
            "Field                 Before  After  Holds",
            "─" * (20 + 2 + 6 + 2 + 5 + 2 + 16),
            "lookback_window_days  7       3      from its time on",
        ]
