"""Figures of a raw stream, asked of DuckDB: see figures.sql."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb

SQL = (Path(__file__).parent / "figures.sql").read_text(encoding="utf-8")
MODELS = ("last_touch", "first_touch", "linear", "position_based", "time_decay")


class Asked:
    """A stream's figures, by journey (None: no journey has credit)."""

    def __init__(self, file: Path, names: Mapping[str, str], half_life: float) -> None:
        self._sql = duckdb.connect()
        self._sql.execute("CREATE TABLE names (journey VARCHAR, name VARCHAR)")
        self._sql.executemany("INSERT INTO names VALUES (?, ?)", list(names.items()))
        self._sql.execute("SET VARIABLE file = ?", [str(file)])
        self._sql.execute("SET VARIABLE half_life = ?", [half_life])
        self._sql.execute(SQL)

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        return self._sql.execute(query, list(parameters)).fetchall()

    def report(self, date: str, first: str, end: str) -> dict[str | None, dict[str, Any]]:
        """Figures as the report has them, by journey; None is what no journey has credit for."""
        day = "day" if date == "event" else "touch_day"
        within = f"FROM credits WHERE {day} >= ? AND {day} < ? GROUP BY journey"
        found: dict[str | None, dict[str, Any]] = {}

        def note(name: str, query: str) -> None:
            for journey, *cells in self.rows(query, first, end):
                if len(cells) == 1:
                    found.setdefault(journey, {})[name] = cells[0]
                else:
                    found.setdefault(journey, {}).setdefault(name, {})[cells[0]] = cells[1]

        note("events", f"SELECT journey, type, count(*) {within}, type")
        note(
            "revenue",
            f"SELECT journey, currency, sum(value) {within.replace('GROUP', 'AND currency <> $$$$ GROUP')}, 2",
        )
        note("converters", f"SELECT journey, count(DISTINCT person) {within}")
        note("median_ms", f"SELECT journey, quantile_disc(delay, 0.5) {within}")
        note("p90_ms", f"SELECT journey, quantile_disc(delay, 0.9) {within}")
        note(
            "disagreeing",
            f"SELECT journey, count(*) FILTER (NOT stamped AND stamp IS NOT NULL AND stamp <> "
            f"(SELECT n.name FROM names n WHERE n.journey = credits.journey)) {within}",
        )
        touched = "strftime(make_timestamp(time * 1000), '%Y-%m-%d')"
        those = f"WHERE {touched} >= ? AND {touched} < ? GROUP BY journey"
        note("touches", f"SELECT journey, kind, count(*) FROM touches {those}, kind")
        note("reached", f"SELECT journey, count(DISTINCT person) FROM touches {those}")
        note("sends", f"SELECT journey, count(*) FROM sends {those}")
        return found

    def comparison(self) -> dict[str, dict[str, tuple[float, dict[str, float]]]]:
        """Events and revenue by currency, by journey and model."""
        found: dict[str, dict[str, tuple[float, dict[str, float]]]] = {}
        for model in MODELS:
            for journey, events in self.rows(f"SELECT journey, sum({model}) FROM weights GROUP BY 1"):
                found.setdefault(journey, {})[model] = (events, {})
            worth = (
                f"SELECT w.journey, currency, sum({model} * value::DOUBLE) FROM weights w JOIN events USING (id) "
                "WHERE currency <> '' GROUP BY 1, 2"
            )
            for journey, currency, revenue in self.rows(worth):
                found[journey][model][1][currency] = revenue
        return found
