"""Merges the parts of the CloudFormation template into the one file that ``chalice package --merge-template`` takes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]

PARTS = ("infra/data.json", "infra/functions.json", "infra/operators.json", "infra/watch.json")
"""``data.json`` is also what the local system creates its tables, stream, bucket, queues and pool from."""

TEXT_OF = "TextOf"
"""``{"TextOf": "infra/dashboard.json"}`` stands for the JSON of that file as a string, as CloudFormation wants it."""


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


def with_texts(project: Path, template: Json) -> Json:
    """The template with each ``TextOf`` replaced by what it stands for."""
    if isinstance(template, list):
        return [with_texts(project, one) for one in template]
    if not isinstance(template, dict):
        return template
    name = template.get(TEXT_OF)
    if isinstance(name, str) and len(template) == 1:
        content = json.loads((project / name).read_text(encoding="utf-8"))
        return json.dumps(content, separators=(",", ":"))
    return {key: with_texts(project, one) for key, one in template.items()}


def merged_parts(project: Path, parts: Sequence[str] = PARTS) -> str:
    """The merged parts as JSON text, the same for the same parts."""
    template: Json = {}
    for part in parts:
        template = merge(template, json.loads((project / part).read_text(encoding="utf-8")))
    return json.dumps(with_texts(project, template), indent=2, sort_keys=True) + "\n"
