"""CSV that spreadsheets open as it is meant: RFC 4180, in UTF-8 with a byte order mark, formulas defused.

Without the byte order mark Excel takes the file for the machine's old code page and spoils every name that is not
ASCII; all other readers (LibreOffice, Google Sheets, pandas, DuckDB) skip it.

A text that a spreadsheet would calculate (``=HYPERLINK(...)`` as an event's type, which any client can send) gets an
apostrophe in front, as OWASP advises. Where a list separator is a semicolon, a spreadsheet splits the file there, so
an apostrophe also goes before a formula behind such a separator or a line break. Numbers differ from texts by their
type, not by how they look: a negative amount stays a number, and a user named ``-1`` does not become one.
Newline-delimited JSON holds every text as it is.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise

Cell = str | int | float | Decimal | bool | None

BYTE_ORDER_MARK = "\ufeff"
CONTENT_TYPE = "text/csv; charset=utf-8"

FORMULA_STARTS = "=+-@\u207c\u208c\ufe66\uff1d\u207a\u208a\ufb29\ufe62\uff0b\u2212\u207b\u208b\ufe63\uff0d\ufe6b\uff20"
"""The four characters that begin a formula, and those that Unicode's compatibility forms make of them."""

_BREAKS = ("\t", "\r", "\n")
_SEPARATORS = {";", "|", *_BREAKS}
"""Of cells, for readers in some locales; a comma within a text is quoted."""
_FILLERS = '"\u115f\u1160\u2800\u3164\uffa0'
"""A quotation mark, which a reader with another separator removes, and letters and symbols without ink."""
_HAS_A_START = re.compile(f"[{re.escape(FORMULA_STARTS)}]")


def to_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Cell]]) -> str:
    """A file with a header; a row's missing cells are empty, and what stands in no column is left out."""
    text = io.StringIO(newline="")
    text.write(BYTE_ORDER_MARK)
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([_defused(one) for one in columns])
    for row in rows:
        writer.writerow([_cell(row.get(column)) for column in columns])
    return text.getvalue()


def report_csv(rows: Iterable[Mapping[str, Cell]], columns: Sequence[str] | None = None) -> str:
    """Rows of flat figures as a file, with a column for each name that any row has, in the order they first appear.

    Amounts must be ``Decimal`` (not text) to be numbers in the file. ``columns`` fixes the columns, also for no rows.
    """
    all_rows = list(rows)
    if columns is None:
        columns = list(dict.fromkeys(name for row in all_rows for name in row))
    return to_csv(columns, all_rows)


def attachment(*parts: str, suffix: str) -> str:
    """A ``Content-Disposition`` whose file name is safe in a header and on every file system.

    An application's id may hold any character, so what is not plain becomes an underscore.
    """
    name = re.sub(r"[^A-Za-z0-9.-]+", "_", "-".join(parts)).strip("._-")[:100]
    return f'attachment; filename="{name or "export"}.{suffix}"'


def _cell(value: Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, int | float):
        return repr(value)
    return _defused(value)


def _defused(text: str) -> str:
    """The text with an apostrophe wherever a cell would begin with a formula; most texts stay as they are."""
    apostrophes = [0] if text.startswith(_BREAKS) else []
    if _HAS_A_START.search(text):
        apostrophes = sorted({*apostrophes, *_formula_cells(text)})
    edges = [0, *apostrophes, len(text)]
    return "'".join(text[start:end] for start, end in pairwise(edges))


def _formula_cells(text: str) -> Iterator[int]:
    """Where apostrophes go: in front of the text, and right in front of a formula behind a separator within it."""
    first, begins, separated = True, True, False
    for position, one in enumerate(text):
        if one in _SEPARATORS:
            begins = separated = True
        elif begins and one in FORMULA_STARTS:
            if first:
                yield 0
            if separated:
                yield position
            first = begins = False
        elif one not in _FILLERS and unicodedata.category(one)[0] not in "CMZ":
            # Visible, so what follows is inside a cell; spaces, control, format and combining characters are not.
            first = begins = False
