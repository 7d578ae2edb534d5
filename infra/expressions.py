"""CloudFormation's expressions (``Ref``, ``Fn::GetAtt``, ...) where something else than a template needs their values.

A stack is made to tell them: each becomes one of its outputs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

Json = Any


def is_expression(value: Json) -> bool:
    """Whether a value is something for CloudFormation to work out."""
    if not isinstance(value, dict) or len(value) != 1:
        return False
    (name,) = value
    return name == "Ref" or str(name).startswith("Fn::")


def expressions(value: Json) -> Iterator[Json]:
    """The outermost expressions in a value."""
    if is_expression(value):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from expressions(one)
    elif isinstance(value, list):
        for one in value:
            yield from expressions(one)


NO_VALUE = "AWS::NoValue"
"""In a template as ``{"Ref": NO_VALUE}``: the property is left out. An output tells it by its name alone."""


def output_name(expression: Json) -> str:
    """Of the output that tells an expression's value; the same for the same expression."""
    text = json.dumps(expression, sort_keys=True).encode()
    return "Value" + hashlib.sha256(text).hexdigest()[:24]


def outputs_of(value: Json) -> dict[str, Json]:
    """The outputs that tell the values of all expressions in a value."""
    return {output_name(one): {"Value": _told(one)} for one in expressions(value)}


def _told(value: Json) -> Json:
    """An expression as an output may say it: an output must have a value."""
    if value == {"Ref": NO_VALUE}:
        return NO_VALUE
    if isinstance(value, dict):
        return {name: _told(one) for name, one in value.items()}
    return [_told(one) for one in value] if isinstance(value, list) else value


def with_values(value: Json, outputs: Mapping[str, str]) -> Json:
    """A value with its expressions replaced by what a stack's outputs tell, without properties that have no value.

    Raises
    ------
    KeyError
        The outputs do not tell an expression's value.
    """
    if is_expression(value):
        return outputs[output_name(value)]
    if isinstance(value, dict):
        replaced = {name: with_values(one, outputs) for name, one in value.items()}
        return {name: one for name, one in replaced.items() if one != NO_VALUE}
    if isinstance(value, list):
        return [with_values(one, outputs) for one in value]
    return value
