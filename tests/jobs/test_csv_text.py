"""CSV: what a spreadsheet reads is what was meant."""

from __future__ import annotations

import csv
import io
import re
import sys
import unicodedata
from decimal import Decimal

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.api.csv_text import Cell, attachment, report_csv, to_csv


def parsed(text: str) -> list[list[str]]:
    """The cells, as a reader that knows of byte order marks finds them."""
    return list(csv.reader(io.StringIO(text.encode().decode("utf-8-sig"), newline=""), strict=True))


def cell(value: Cell) -> str:
    _, (found,) = parsed(to_csv(["x"], [{"x": value}]))
    return found


def test_a_file_begins_with_a_byte_order_mark_and_ends_its_lines_as_the_rfc_says() -> None:
    text = to_csv(["user", "value"], [{"user": "jané", "value": Decimal("12.50")}, {"user": None}])
    assert text.encode() == b"\xef\xbb\xbfuser,value\r\njan\xc3\xa9,12.50\r\n,\r\n"


@pytest.mark.parametrize(
    "text", ["a,b", 'say "hi"', "two\nlines", "two\r\nlines", "", "日本", "tab\tinside", "1.5", "007"]
)
def test_texts_come_back_as_they_are(text: str) -> None:
    assert cell(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+49 30 1234",
        "-2",
        "@SUM(A1)",
        "\tshop",
        "\rshop",
        "\nshop",
        "  =1",
        "\u00a0=1",
        "\uff1dHYPERLINK()",
        '=cmd|"/c calc"!A1',
        '=1,"2"',
    ],
)
def test_a_text_that_would_be_calculated_is_not(text: str) -> None:
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize("start", list("=+-@"))
@pytest.mark.parametrize(
    "before",
    [
        "\ufeff",  # byte order mark
        "\u200b",  # zero width space
        "\u200c\u200d\u2060",  # zero width joiners
        "\u00ad",  # soft hyphen
        "\u202e\u2066",  # direction marks
        "\u00a0",  # non-breaking space
        "\u2003\u3000\u1680",  # spaces of several widths
        "\u2028",  # line separator
        "\x00\x1f\x7f\x85",  # control characters
        "\u034f\ufe0f\u180b",  # combining and variation selectors
        "\u3164\u2800",  # fillers
        "\ue000\U000e0041",  # private use, tags
        '"',  # a reader with another separator removes it
        " \u200b\ufeff ",
    ],
)
def test_what_is_not_seen_hides_no_formula(before: str, start: str) -> None:
    assert cell(f"{before}{start}A1") == f"'{before}{start}A1"


def test_every_form_of_the_four_characters_begins_a_formula() -> None:
    # Catches: a list of full-width forms that lacks the small, superscript and subscript ones.
    forms = {
        one
        for one in map(chr, range(sys.maxunicode + 1))
        if unicodedata.normalize("NFKC", one) in {"=", "+", "-", "@", "\u2212"}
    }
    assert len(forms) >= 4 * 2
    for one in sorted(forms):
        assert cell(f"{one}A1") == f"'{one}A1"


def cells_of_any_reader(file: str) -> list[str]:
    """The cells as readers with other separators, or with no regard for quotation marks, could take them."""
    return [one.strip('" ') for one in re.split("[;|\t\r\n]", file)]


@pytest.mark.parametrize(
    ("text", "defused"),
    [
        (";=1+1", "';'=1+1"),
        ("\t=1", "'\t'=1"),
        ("\r=1", "'\r'=1"),
        ("\n=1", "'\n'=1"),
        (" ;\t=1", "' ;\t'=1"),
        ("shop;=1+1", "shop;'=1+1"),
        ("shop;\u200b =1+1", "shop;\u200b '=1+1"),
        ('shop";"=1+1', 'shop";"\'=1+1'),
        ("shop|@SUM(A1)", "shop|'@SUM(A1)"),
        ("shop\n=1+1", "shop\n'=1+1"),
        ("shop\r\n\t-1", "shop\r\n\t'-1"),
        ("a;-1;b;+1", "a;'-1;b;'+1"),
        ("a;b=1", "a;b=1"),
        ("jane+news@example.com", "jane+news@example.com"),
        ("spring-sale", "spring-sale"),
    ],
)
def test_another_list_separator_begins_no_formula(text: str, defused: str) -> None:
    assert cell(text) == defused
    line = to_csv(["x", "y"], [{"x": "a", "y": text}]).partition("\n")[2]
    assert not [one for one in cells_of_any_reader(line) if one.startswith(("=", "+", "-", "@"))]


@given(st.text(st.sampled_from(" =+-@;|\t\r\n\"',aé\ufeff\u200b\u00a0\uff1d"), max_size=8))
def test_only_apostrophes_are_added(text: str) -> None:
    found = cell(text)
    assert found.replace("'", "") == text.replace("'", "")
    visible = "".join(one for one in found if one == "'" or (unicodedata.category(one)[0] not in "CZ" and one != '"'))
    assert not visible.startswith(("=", "+", "-", "@", "\uff1d"))


def test_a_separator_within_a_text_does_not_begin_a_formula_in_the_next_cell() -> None:
    assert parsed(to_csv(["a", "b"], [{"a": 'x",=1', "b": "y"}]))[1] == ['x",=1', "y"]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (Decimal("-12.50"), "-12.50"),
        (Decimal("1E+3"), "1000"),
        (Decimal("-0.000000000000000001"), "-0.000000000000000001"),
        (Decimal(10) ** 20, "100000000000000000000"),
        (-3, "-3"),
        (0.25, "0.25"),
        (True, "true"),
        (None, ""),
    ],
)
def test_numbers_stay_numbers(number: Cell, text: str) -> None:
    assert cell(number) == text


def test_a_header_is_defused_too() -> None:
    # A report may have a column for each event type, which clients name.
    assert parsed(report_csv([{"=1": 1}])) == [["'=1"], ["1"]]


def test_a_report_has_a_column_for_each_figure_of_any_row() -> None:
    rows: list[dict[str, Cell]] = [{"journey": "j1", "sends": 2}, {"journey": "j2", "revenue USD": Decimal("-1.00")}]
    assert parsed(report_csv(rows)) == [
        ["journey", "sends", "revenue USD"],
        ["j1", "2", ""],
        ["j2", "", "-1.00"],
    ]
    assert parsed(report_csv([], ["journey", "sends"])) == [["journey", "sends"]]
    assert parsed(report_csv(rows, ["journey"])) == [["journey"], ["j1"], ["j2"]]


def test_duckdb_reads_negative_amounts_as_numbers(tmp_path: object) -> None:
    rows: list[dict[str, Cell]] = [{"user": "-1", "value": Decimal("-2.50")}, {"user": "=A1", "value": Decimal("1.25")}]
    path = f"{tmp_path}/rows.csv"
    with open(path, "w", newline="", encoding="utf-8") as file:  # noqa: PTH123 - as text, line ends untouched
        file.write(report_csv(rows))
    query = f"SELECT user, sum(value) FROM read_csv('{path}') GROUP BY ALL ORDER BY ALL"  # noqa: S608 - own file
    assert duckdb.connect().execute(query).fetchall() == [("'-1", -2.5), ("'=A1", 1.25)]


def test_a_file_s_name_is_safe_in_a_header_and_on_a_disk() -> None:
    assert attachment("events", "app", suffix="csv") == 'attachment; filename="events-app.csv"'
    hostile = attachment("events", '../a"\r\nX-Evil: 1;é', suffix="csv")
    assert hostile == 'attachment; filename="events-.._a_X-Evil_1.csv"'
    assert attachment("日本", suffix="csv") == 'attachment; filename="export.csv"'
    assert len(attachment("x" * 500, suffix="csv")) < 140
