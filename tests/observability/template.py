"""The alarms and the dashboard of the template, as they are merged into what is deployed."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from infra.merge import merged_parts
from tests.observability.emitted import Metric

PROJECT = Path(__file__).parents[2]
Json = dict[str, Any]
SEARCH = re.compile(r"SEARCH\('\{([^}]*)\} MetricName=\"(\w+)\"")


@cache
def resources() -> Json:
    found: Json = json.loads(merged_parts(PROJECT))["Resources"]
    return found


def alarms() -> dict[str, Json]:
    """Properties of the alarms by logical id."""
    return {
        id_: one["Properties"] for id_, one in resources().items() if one.get("Type", "").endswith("CloudWatch::Alarm")
    }


def watched(alarm: Json) -> list[Json]:
    """The metrics that an alarm looks at: namespace, name and dimensions."""
    if "MetricName" in alarm:
        return [alarm]
    return [one["MetricStat"]["Metric"] for one in alarm["Metrics"] if "MetricStat" in one]


def metrics_of(alarm: Json) -> set[Metric]:
    return {
        Metric(one["Namespace"], one["MetricName"], frozenset(given["Name"] for given in one["Dimensions"]))
        for one in watched(alarm)
    }


def dashboard_text() -> str:
    """The dashboard's body, as CloudFormation substitutes in it."""
    text: str = resources()["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"][0]
    return text


def dashboard_variables() -> set[str]:
    """Names that the dashboard is given for the substitution, beside those of resources."""
    return set(resources()["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"][1])


def dashboard_metrics() -> set[Metric]:
    """The metrics on the dashboard, those that a search finds included."""
    found = set()
    for widget in json.loads(dashboard_text())["widgets"]:
        for row in widget["properties"].get("metrics", ()):
            if isinstance(row[0], dict):
                dimensions, name = SEARCH.findall(row[0]["expression"])[0]
                namespace, *names = dimensions.split(",")
                found.add(Metric(namespace, name, frozenset(names)))
            else:
                given = [one for one in row if isinstance(one, str)]
                found.add(Metric(given[0], given[1], frozenset(given[2::2])))
    return found
