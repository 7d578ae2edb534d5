"""Merges the parts of the CloudFormation template into the one file that ``chalice package --merge-template`` takes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]

PARTS = ("infra/data.json", "infra/functions.json")
"""``data.json`` is also what the local system creates its tables, stream, bucket, queues and pool from."""


class MergeConflict(Exception):
    """Two parts say different things about one place of the template."""


def merge(first: Json, second: Json, at: str = "template") -> Json:
    """Both templates in one: objects join, and nothing is overwritten.

    Raises
    ------
    MergeConflict
        Both give a value for ``at`` that is not an object, and the values differ.
    """
    if isinstance(first, dict) and isinstance(second, dict):
        joined = {**first, **second}
        for name in first.keys() & second.keys():
            joined[name] = merge(first[name], second[name], f"{at}.{name}")
        return joined
    if first != second:
        raise MergeConflict(f"{at} is {json.dumps(first)} in one part and {json.dumps(second)} in another")
    return first


def merged_parts(project: Path, parts: Sequence[str] = PARTS) -> str:
    """The merged parts as JSON text, the same for the same parts."""
    template: Json = {}
    for part in parts:
        template = merge(template, json.loads((project / part).read_text(encoding="utf-8")))
    return json.dumps(template, indent=2, sort_keys=True) + "\n"
