"""A request's query and body as Structs, or a 400 with a sentence."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import msgspec
from chalice.app import MultiDict
from msgspec import inspect

from chalicelib.api.problems import Problem
from chalicelib.api.schemas import values
from chalicelib.api.sentences import members, sentence

LARGEST_BODY = 256 * 1024
"""Bytes of a request's body."""

_WHOLE = re.compile(r"-?[0-9]{1,15}")
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")
_BOOLS = {"true": True, "false": False}


def decode_query(given: MultiDict | None, kind: Any) -> Any:
    """The query parameters; blank ones count as absent. Raises `Problem` where one is unknown, double or wrong."""
    fields = parameters(kind)
    found: dict[str, object] = {}
    for name in given or ():
        if name not in fields:
            raise Problem(400, f"There is no parameter {name}; there are {', '.join(fields) or 'none here'}.")
        texts: list[str] = given.getlist(name) if given is not None else []
        if len(texts) > 1:
            raise Problem(400, f"{name} is given more than once.")
        if texts[0].strip():
            found[name] = _plain(texts[0], fields[name].type)
    return None if kind is None else _convert(found, kind)


def decode_body(raw: bytes, kind: Any) -> Any:
    """The JSON body. Raises `Problem` where it is none, or not of that kind."""
    try:
        return msgspec.json.decode(raw, type=kind, dec_hook=values.parse)
    except msgspec.ValidationError as error:
        raise Problem(400, sentence(error, kind, _json(raw))) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(400, f"The body is not the JSON that is expected: {error}.") from error


@cache
def parameters(kind: Any) -> Mapping[str, inspect.Field]:
    """The fields of a query's Struct by their names in the URL."""
    if kind is None:
        return {}
    info = inspect.type_info(kind)
    if not isinstance(info, inspect.StructType):
        raise TypeError(f"{kind} is not a Struct")
    return {one.encode_name: one for one in info.fields}


def _convert(given: Any, kind: Any) -> Any:
    try:
        return msgspec.convert(given, kind, dec_hook=values.parse)
    except msgspec.ValidationError as error:
        raise Problem(400, sentence(error, kind, given)) from error


def _plain(text: str, kind: inspect.Type) -> object:
    """A parameter's text as the JSON that its field expects; as it is where it is no such thing.

    msgspec would do so by itself, but takes ``+5``, ``TRUE`` and a ``null`` that is somebody's name.
    """
    readers: tuple[tuple[type[inspect.Type], Callable[[], object]], ...] = (
        (inspect.IntType, lambda: int(text) if _WHOLE.fullmatch(text) else None),
        (inspect.FloatType, lambda: float(text) if _NUMBER.fullmatch(text) else None),
        (inspect.BoolType, lambda: _BOOLS.get(text)),
    )
    for member in members(kind):
        for expected, read in readers:
            if isinstance(member, expected) and (value := read()) is not None:
                return value
    return text


def _json(raw: bytes) -> object:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
