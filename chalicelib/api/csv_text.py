"""CSV that spreadsheets open as it is meant: RFC 4180, in UTF-8 with a byte order mark, formulas defused.

Without the byte order mark Excel takes the file for the machine's old code page and spoils every name that is not
ASCII; all other readers (LibreOffice, Google Sheets, pandas, DuckDB) skip it.

A text that a spreadsheet would calculate (``=HYPERLINK(...)`` as an event's type, which any client can send) gets an
apostrophe in front, as OWASP advises. Numbers are told from texts by their type, not by how they look, so a negative
amount stays a number and a user named ``-1`` does not become one. Newline-delimited JSON holds every text as it is.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

Cell = str | int | float | Decimal | bool | None

BYTE_ORDER_MARK = "\ufeff"
CONTENT_TYPE = "text/csv; charset=utf-8"

_BEGINS_A_FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
"""The last four are the full-width forms, which East Asian versions of spreadsheets take for the others."""


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
    """Also behind leading blanks, which some spreadsheets trim at import."""
    return f"'{text}" if text.startswith(_BEGINS_A_FORMULA) or text.lstrip().startswith(_BEGINS_A_FORMULA) else text
