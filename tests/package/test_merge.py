"""The parts of the template join without one silently undoing another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infra.merge import Json, MergeConflict, merge, merged_parts

PROJECT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        ({"Resources": {"A": 1}}, {"Outputs": {}}, {"Resources": {"A": 1}, "Outputs": {}}),
        ({"Resources": {"A": {"x": 1}}}, {"Resources": {"A": {"y": [2]}}}, {"Resources": {"A": {"x": 1, "y": [2]}}}),
        ({"A": [1, 2]}, {"A": [1, 2]}, {"A": [1, 2]}),
    ],
)
def test_parts_join(first: Json, second: Json, both: Json) -> None:
    assert merge(first, second) == both
    assert merge(second, first) == both


def test_parts_that_disagree_are_refused_with_the_place() -> None:
    # Chalice's own merge lets the last one win, and joins two intrinsics into an invalid one.
    with pytest.raises(MergeConflict, match=r'template\.Resources\.A is "x" in one part and "y" in another'):
        merge({"Resources": {"A": "x"}}, {"Resources": {"A": "y"}})


def test_the_same_parts_give_the_same_text_in_any_order(tmp_path: Path) -> None:
    parts: dict[str, Json] = {
        "a.json": {"Resources": {"B": {}, "A": {}}},
        "b.json": {"Outputs": {}, "Resources": {"C": {}}},
    }
    for name, part in parts.items():
        (tmp_path / name).write_text(json.dumps(part), encoding="utf-8")
    assert merged_parts(tmp_path, ["a.json", "b.json"]) == merged_parts(tmp_path, ["b.json", "a.json"])


def test_the_project_s_parts_join() -> None:
    assert json.loads(merged_parts(PROJECT)).keys() >= {"Resources", "Globals", "Outputs"}
