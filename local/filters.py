"""Filter criteria of an event source mapping: the part of EventBridge's patterns that this project uses."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from local.lambda_events import JsonObject


class UnknownPattern(ValueError):
    """A pattern uses an operator that is not known here; it must not silently match too much or too little."""


def record_filter(patterns: Sequence[str]) -> Callable[[JsonObject], bool]:
    """Whether a record matches any of the patterns (JSON); without patterns every record does.

    Raises
    ------
    UnknownPattern
        At once, not when a record comes by.
    """
    parsed: list[object] = [json.loads(pattern) for pattern in patterns]
    for pattern in parsed:
        _check(pattern)

    def wanted(record: JsonObject) -> bool:
        return not parsed or any(_matches(pattern, record) for pattern in parsed)

    return wanted


def _check(pattern: object) -> None:
    if isinstance(pattern, Mapping):
        for one in pattern.values():
            _check(one)
    elif isinstance(pattern, list):
        for one in pattern:
            if isinstance(one, Mapping) and list(one) != ["prefix"]:
                raise UnknownPattern(f"only exact values and prefix are known here, not {json.dumps(one)}")
    else:
        raise UnknownPattern(f"{json.dumps(pattern)} is neither an object nor a list of values")


def _matches(pattern: object, value: object) -> bool:
    if isinstance(pattern, Mapping):
        return isinstance(value, Mapping) and all(_matches(one, value.get(name)) for name, one in pattern.items())
    return isinstance(pattern, list) and any(_is(one, value) for one in pattern)


def _is(expected: object, value: object) -> bool:
    if isinstance(expected, Mapping):
        return isinstance(value, str) and value.startswith(str(expected["prefix"]))
    return expected == value
