"""What is wrong in a request, in a sentence that names the parameter or field."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import inspect

from chalicelib.api.schemas.values import Spelled

_PATH = re.compile(r"^(?P<what>.*) - at (?:`key` in )?`\$?(?P<path>[^`]*)`$", re.DOTALL)
_STEP = re.compile(r"\.(?P<name>[^.\[]+)|\[(?P<index>\d+|\.\.\.)\]")
_MISSING = re.compile(r"^Object missing required field `(?P<name>.*)`$", re.DOTALL)
_UNKNOWN = re.compile(r"^Object contains unknown field `(?P<name>.*)`$", re.DOTALL)
_LONGEST_SHOWN = 100
_LISTS = (inspect.ListType, inspect.VarTupleType, inspect.SetType, inspect.FrozenSetType)
_WORDS: Mapping[type[inspect.Type], str] = {
    inspect.BoolType: "true or false",
    inspect.IntType: "a whole number",
    inspect.FloatType: "a number",
    inspect.DecimalType: "a decimal number",
    inspect.StructType: "an object",
    inspect.DictType: "an object",
}


def sentence(error: msgspec.ValidationError, kind: Any, given: object) -> str:
    """Why ``given``, plain JSON, is no ``kind``."""
    text = str(error)
    found = _PATH.match(text)
    what, path = (found["what"], found["path"]) if found else (text, "")
    where = path.lstrip(".") or "The body"
    expected = _at(inspect.type_info(kind), path)
    if isinstance(error.__cause__, ValueError | TypeError):
        return f"{where} {what}." if what.startswith("must ") else f"{what}."
    if missing := _MISSING.match(what):
        return f"{_inside(path, missing['name'])} is missing."
    if unknown := _UNKNOWN.match(what):
        return f"There is no {_inside(path, unknown['name'])} to set; there are {_names(expected)}."
    if expected is None:
        return f"{where}: {what}."
    return f"{where} must be {described(expected)}{_not(_value(given, path))}."


def described(kind: inspect.Type) -> str:
    """What a value must be: "a whole number from 1 to 9". That it may also be null is left out."""
    words = dict.fromkeys(_described(one) for one in members(kind) if not isinstance(one, inspect.NoneType))
    return " or ".join(words) or "null"


def _described(kind: inspect.Type) -> str:
    if isinstance(kind, inspect.CustomType):
        words = kind.cls.RULE if issubclass(kind.cls, Spelled) else kind.cls.__name__
    elif isinstance(kind, inspect.LiteralType):
        words = f"{'one of ' if len(kind.values) > 1 else ''}{', '.join(str(one) for one in kind.values)}"
    elif isinstance(kind, inspect.IntType | inspect.FloatType):
        words = f"{_WORDS[type(kind)]}{_range(kind)}"
    elif isinstance(kind, inspect.StrType):
        words = f"text{_length(kind, 'characters')}"
    elif isinstance(kind, _LISTS):
        words = f"a list{_length(kind, 'items')}"
    else:
        words = _WORDS.get(type(kind), "of another type")
    return words


def members(kind: inspect.Type) -> Iterator[inspect.Type]:
    """What a value may be, without the wrapping."""
    if isinstance(kind, inspect.Metadata):
        yield from members(kind.type)
    elif isinstance(kind, inspect.UnionType):
        for one in kind.types:
            yield from members(one)
    else:
        yield kind


def _range(kind: inspect.IntType | inspect.FloatType) -> str:
    if kind.ge is not None and kind.le is not None:
        return f" from {kind.ge} to {kind.le}"
    bounds = {"of at least": kind.ge, "greater than": kind.gt, "of at most": kind.le, "less than": kind.lt}
    given = [f"{words} {bound}" for words, bound in bounds.items() if bound is not None]
    return f" {' and '.join(given)}" if given else ""


def _length(kind: Any, unit: str) -> str:
    low, high = kind.min_length or 0, kind.max_length
    if high is not None:
        return f" of {low} to {high} {unit}"
    return f" of at least {low} {unit}" if low else ""


def _steps(path: str) -> list[str | int | None]:
    """Names of fields, indices of lists; None for a key of an object that has any keys."""
    return [
        step["name"] if step["name"] is not None else None if step["index"] == "..." else int(step["index"])
        for step in _STEP.finditer(path)
    ]


def _at(kind: inspect.Type, path: str) -> inspect.Type | None:
    """The type that stands at a path."""
    found: inspect.Type | None = kind
    for step in _steps(path):
        choices = list(members(found)) if found else []
        tags = tuple(one.tag for one in choices if isinstance(one, inspect.StructType) and one.tag_field == step)
        inner = (_inner(one, step) for one in choices)
        found = inspect.LiteralType(tags) if tags else next((one for one in inner if one), None)
    return found


def _inner(kind: inspect.Type, step: str | int | None) -> inspect.Type | None:
    if isinstance(step, str):
        fields = kind.fields if isinstance(kind, inspect.StructType) else ()
        return next((one.type for one in fields if one.encode_name == step), None)
    if step is None:
        return kind.value_type if isinstance(kind, inspect.DictType) else None
    return kind.item_type if isinstance(kind, _LISTS) else None


def _names(kind: inspect.Type | None) -> str:
    fields = (
        [one.encode_name for member in members(kind) if isinstance(member, inspect.StructType) for one in member.fields]
        if kind
        else []
    )
    return ", ".join(fields) or "none here"


def _inside(path: str, name: str) -> str:
    return f"{path}.{name}".lstrip(".")


def _value(given: object, path: str) -> object:
    for step in _steps(path):
        if isinstance(step, str) and isinstance(given, dict):
            given = given.get(step)
        elif isinstance(step, int) and isinstance(given, list) and step < len(given):
            given = given[step]
        else:
            return None
    return given


def _not(given: object) -> str:
    """What was said instead, where it is short."""
    if given is None or isinstance(given, dict | list):
        return ""
    text = str(given).lower() if isinstance(given, bool) else str(given)
    return f", not {text}" if text and len(text) <= _LONGEST_SHOWN else ""
