"""What is put in place of MiniStack's own, in a process of its own: it does the same."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from local.ministack import CHILD


def in_child(code: str) -> Any:
    """What a script prints as JSON that has the child's names."""
    script = f"import copy, json, runpy, time\nglobals().update(runpy.run_path({str(CHILD)!r}))\n{code}"
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True, timeout=60)
    return json.loads(done.stdout)


def test_a_copy_is_equal_and_shares_nothing_that_can_change() -> None:
    # Catches: a shallow copy, whose change shows in the item that the table holds.
    code = """
item = {"pk": {"S": "a"}, "list": {"L": [{"M": {"n": {"N": "1"}}}]}, "set": {"NS": ["1", "2"]}, "flag": {"BOOL": True}}
before = json.dumps(item)
made = copied(item)
equal = json.dumps(made) == before
made["list"]["L"][0]["M"]["n"]["N"] = "2"
made["set"]["NS"].append("3")
made["pk"]["S"] = "b"
print(json.dumps([equal, json.dumps(item) == before]))
"""
    assert in_child(code) == [True, True]


def test_what_is_not_json_is_copied_as_python_does() -> None:
    code = """
from collections import defaultdict
tables = {"items": defaultdict(dict, {"a": {"b": {"N": "1"}}}), "names": {"x"}}
tables["self"] = shared = ["one"]
made = copied(tables)
made["items"]["new"]["b"] = 1
made["names"].add("y")
print(json.dumps([type(made["items"]).__name__, sorted(tables["items"]), sorted(tables["names"])]))
"""
    assert in_child(code) == ["defaultdict", ["a"], ["x"]]


def test_records_expire_by_their_age_in_each_shard() -> None:
    code = """
now = time.time()
def shard(*ages):
    return {"records": [{"age": age, "ApproximateArrivalTimestamp": now - age * 3600} for age in ages]}
def kept(stream):
    expire_if_any(stream)
    return [[one["age"] for one in shard["records"]] for shard in stream["shards"].values()]
some = {"RetentionPeriodHours": 24, "shards": {"a": shard(3, 1), "b": shard(25, 23), "c": shard()}}
none = {"RetentionPeriodHours": 24, "shards": {"a": shard(23)}}
print(json.dumps([kept(some), kept(none)]))
"""
    assert in_child(code) == [[[3, 1], [23], []], [[23]]]


def test_an_item_is_measured_once_and_another_one_in_its_place_anew() -> None:
    # Catches: the size of an object that is gone, taken for that of another one with its id.
    code = """
measured = []
size = measured_once(lambda item: measured.append(1) or len(item["t"]), most=2)
one = {"t": "x"}
sizes = [size(one), size(one), len(measured)]
del one
sizes += [size({"t": "x" * length}) for length in range(5)]
print(json.dumps([sizes, len(measured)]))
"""
    assert in_child(code) == [[1, 1, 1, 0, 1, 2, 3, 4], 6]
