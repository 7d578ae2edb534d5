"""What a terminal can show, and texts and bars made for it."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from io import TextIOWrapper
from math import ceil

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

NONE = "-"
UNBOUNDED = 10_000
"""Columns; rich measures nothing as wider than the terminal otherwise."""
EIGHTHS = " ▏▎▍▌▋▊▉█"
LEVELS, ASCII_LEVELS = "▁▂▃▄▅▆▇█", "_.:;+*%#"
"""Of a line of bars one row high, from little to much."""


class Screen:
    """A console, and how much of Unicode it takes."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.ascii = console.options.ascii_only

    @property
    def width(self) -> int:
        return self.console.width

    def plain(self, text: str) -> str:
        """Text from anywhere: it does nothing to the terminal, and every character of it can be shown."""
        shown = harmless(text)
        with suppress(LookupError):
            shown = shown.encode(self.console.encoding, "replace").decode(self.console.encoding)
        return shown

    def text(self, text: str, style: str = "") -> Text:
        """`plain` text for a cell of a table, in which rich looks for no markup."""
        return Text(self.plain(text), style=style)

    def say(self, text: str, style: str = "") -> None:
        """A line or more; what does not fit is wrapped between words."""
        self.console.print(Text(self.plain(text), style=style), highlight=False)

    def bar(self, share: Decimal | None, width: int) -> str:
        """A bar of so many columns, full where the share is 1; a share beyond 0 and 1 is cut off there."""
        eighths = int(min(max(share or Decimal(0), Decimal(0)), Decimal(1)) * width * 8)
        if self.ascii:
            return "#" * ((eighths + 4) // 8)
        return "█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()

    def spark(self, values: Sequence[Decimal], most: Decimal) -> str:
        """A bar one row high for each value, the highest for ``most``; a point is zero, a minus less than that."""
        levels, zero = (ASCII_LEVELS, " ") if self.ascii else (LEVELS, "·")
        return "".join(
            zero if not value else "-" if value < 0 else levels[min(8, ceil(value * 8 / most)) - 1] for value in values
        )

    def fits(self, *tables: Table) -> bool:
        """Whether all of them do, with nothing cut off or folded more than it must."""
        unbounded = self.console.options.update(max_width=UNBOUNDED)
        for table in tables:
            for column in table.columns:
                if column.no_wrap:
                    # rich measures such a column, too, as if it could be broken between words.
                    cells = (column.header, column.footer, *column.cells)
                    column.min_width = max(Measurement.get(self.console, unbounded, one).maximum for one in cells)
        return all(Measurement.get(self.console, unbounded, one).minimum <= self.width for one in tables)


def screen_of(*, no_color: bool) -> Screen:
    """Standard output. rich itself heeds NO_COLOR, COLUMNS and TERM."""
    if isinstance(sys.stdout, TextIOWrapper):
        # Lines of tables, too, must not fail where the terminal knows few characters.
        sys.stdout.reconfigure(errors="replace")
    # Without --no-color it is for NO_COLOR to say.
    return Screen(Console(no_color=no_color or None, highlight=False))


def harmless(text: str) -> str:
    """Text without the control and formatting characters that change what a terminal shows."""
    return "".join(one if one == "\n" or one.isprintable() else _escaped(one) for one in text)


def table_of(gap: int = 2, *, footer: bool = False) -> Table:
    """A table with as few lines as possible, and so many blanks between its columns."""
    return Table(
        box=box.SIMPLE,
        show_edge=False,
        show_footer=footer,
        footer_style="bold",
        padding=(0, gap - 1, 0, 0),
        pad_edge=False,
    )


def count(number: int | Decimal | None) -> str:
    """A number of things."""
    return NONE if not number else f"{number:,}"


def amount(text: str | None, currency: str | None = None) -> str:
    """Money with the places it comes with, two at least."""
    if text is None:
        return NONE
    return f"{Decimal(text):,f}" + (f" {currency}" if currency else "")


def percent(share: str | Decimal | None, *, signed: bool = False) -> str:
    """A share to a tenth of a percent: 0.2504 is 25.0%."""
    if share is None:
        return NONE
    number = Decimal(share)
    return f"{number:+,.1%}" if signed and number else f"{number:,.1%}"


def moment(iso: str) -> str:
    """A time in UTC to the second, without what is the same in all of them."""
    return iso[:19].replace("T", " ")


def _escaped(one: str) -> str:
    if unicodedata.category(one) == "Zs":
        return " "
    return f"\\x{ord(one):02x}" if ord(one) < 0x100 else f"\\u{ord(one):04x}"
