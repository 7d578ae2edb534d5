"""The contract of the REST API: an operation is declared with its Structs and called with what a request made of them.

``@operation(routes, "GET", "/applications/{application}/report", access="viewer", summary="...", query=ReportQuery,
answer=Report, tags=("reports",))`` registers the function below it as a route, and returns it as it was::

    def get_report(call: Call[ReportQuery, None]) -> Report | Answer: ...

What is declared is both what requests are checked by and what ``/openapi.json`` says. A new module of routes is
imported in ``routes.py``; the function's name is its operation id, and must be unique.

``operation(blueprint, method, path, *, access, summary, description="", tags=(), query=None, body=None, answer=None,
status=200, media=(), answers={}, errors=(), headers={}, answer_headers={}, examples={})``

``query``, ``body``, ``answer``
    msgspec Structs. A query's fields are all optional, named as in the URL (``from_: Instant | None =
    msgspec.field(name="from", default=None)``), and str, int, float, bool, Decimal, Literal, `Instant` (ISO time,
    ms UTC inside) or `Day` (``YYYYMMDD`` inside). A body's Struct, and those within, have
    ``forbid_unknown_fields=True``. All three may use Instant and Day (`schemas.values`); others like them are
    subclasses of `Spelled`, whose defaults are given by ``default_factory``. For what the types cannot say: raise
    ValueError in the Struct's ``__post_init__``, with a sentence without full stop; where it begins with "must ", the
    field's name is put before it.
``status``, ``media``, ``answers``
    The status of a good answer, content types that it may have beside JSON (``("text/csv",)``), and other good
    answers by status (``{202: Job, 304: None}``).
``errors``
    Statuses of problems that the operation raises itself (``(404, 412)``). 400, 401, 403, 413, 415 and 500 are known,
    and 422 where the query or body has a field that makes the answer shorter (`SHORTER`).
``headers``, ``answer_headers``
    Headers that it reads, and that it answers, with what they mean (``{"If-Match": "The version to be changed"}``).
``examples``
    For the documentation: ``{"body": {...}, "answer": {...}}``, plain JSON.

`Call`: ``application`` (decoded and checked; "" where the path has none), ``path`` (decoded; ``journey`` and
``journey_id`` are checked ids too), ``query``, ``body``, ``caller`` (`Caller`: subject, groups), ``headers`` (without
regard to case), ``now`` (ms UTC), ``request_id``.

`Answer`: ``Answer(body, status=200, headers={}, content_type="application/json")``; the body is a Struct, text, bytes
of text, or None (204, 304). A Struct alone is a 200, or the operation's ``status``.

`Problem`: ``raise Problem(404, "Nothing is known of this user.", headers=None, **extensions)``.

`TooLarge`: ``raise TooLarge("The report would have more than 5,000 rows.")``. An answer of more than `LARGEST_ANSWER`
bytes is one anyway.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Generic, TypeVar
from urllib.parse import unquote

import msgspec
from chalice.app import Blueprint, HeadersType, Request, Response

from chalicelib import wiring
from chalicelib.api.access import check_token
from chalicelib.api.callers import NOBODY, WHO, Access, Caller, caller_of
from chalicelib.api.decoding import LARGEST_BODY, decode_body, decode_query
from chalicelib.api.problems import Problem, problem_answer, request_id_of, unexpected
from chalicelib.api.schemas import values
from chalicelib.observability import logger
from chalicelib.sources.records import Rejected, checked_id

__all__ = ["OPERATIONS", "Access", "Answer", "Call", "Caller", "Operation", "Problem", "TooLarge", "operation"]

JSON = "application/json"

LARGEST_ANSWER = 5_000_000
"""Bytes of an answer in Lambda's JSON. Lambda refuses more than 6 MB, which is a 502 to the caller."""

MOST_BYTES_EACH = 12
"""Bytes of a character outside the basic plane, where it is escaped."""

SHORTER = {
    "from": "a shorter period (from, to)",
    "by": "coarser parts (by)",
    "models": "fewer models (models)",
    "journey_id": "one journey (journey_id)",
    "limit": "a shorter page (limit)",
}
"""The request for a shorter answer, by the field of a query or body that makes it one."""

authorizer: Any = check_token
"""Chalice's authorizer of all operations but the public ones, read when an operation is declared."""

Query = TypeVar("Query")
Body = TypeVar("Body")


@dataclass(frozen=True, slots=True)
class Call(Generic[Query, Body]):
    """What an operation is called with."""

    application: str
    path: Mapping[str, str]
    query: Query
    body: Body
    caller: Caller
    headers: Mapping[str, str]
    now: int
    request_id: str


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is more than a Struct with a status of 200."""

    body: msgspec.Struct | str | bytes | None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = JSON


class TooLarge(Exception):
    """What an operation raises where its answer would be too large; the message is a sentence.

    The caller gets it as a 422, followed by the operation's parameters that make its answer shorter.
    """


Function = Callable[[Call[Any, Any]], "msgspec.Struct | Answer"]
Declared = TypeVar("Declared", bound=Function)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An operation as it was declared; see the module."""

    id: str
    method: str
    path: str
    access: Access
    summary: str
    description: str
    tags: tuple[str, ...]
    query: Any
    body: Any
    answer: Any
    status: int
    media: tuple[str, ...]
    answers: Mapping[int, Any]
    errors: tuple[int, ...]
    headers: Mapping[str, str]
    answer_headers: Mapping[str, str]
    examples: Mapping[str, Any]


OPERATIONS: list[Operation] = []
"""All operations, in the order of their declaration."""


def operation(
    blueprint: Blueprint,
    method: str,
    path: str,
    *,
    access: Access,
    summary: str,
    description: str = "",
    tags: Collection[str] = (),
    query: Any = None,
    body: Any = None,
    answer: Any = None,
    status: int = 200,
    media: Collection[str] = (),
    answers: Mapping[int, Any] | None = None,
    errors: Collection[int] = (),
    headers: Mapping[str, str] | None = None,
    answer_headers: Mapping[str, str] | None = None,
    examples: Mapping[str, Any] | None = None,
) -> Callable[[Declared], Declared]:
    """Register a function as an operation; see the module. Raises ValueError for an id that there is already."""

    def declare(function: Declared) -> Declared:
        declared = Operation(
            id=function.__name__,
            method=method,
            path=path,
            access=access,
            summary=summary,
            description=description,
            tags=tuple(tags),
            query=query,
            body=body,
            answer=answer,
            status=status,
            media=tuple(media),
            answers=answers or {},
            errors=tuple(errors),
            headers=headers or {},
            answer_headers=answer_headers or {},
            examples=examples or {},
        )
        if any(one.id == declared.id for one in OPERATIONS):
            raise ValueError(f"there are two operations called {declared.id}")
        OPERATIONS.append(declared)
        _register(blueprint, declared, function)
        return function

    return declare


def _register(blueprint: Blueprint, declared: Operation, function: Function) -> None:
    @wraps(function)
    def view(**path: str) -> Response:
        return _answered(declared, function, blueprint.current_request, path)

    blueprint.route(
        declared.path,
        methods=[declared.method],
        authorizer=None if declared.access == "public" else authorizer,
        # A request without a body may say of what type it is.
        content_types=[] if declared.body is None else [JSON],
    )(view)


def _answered(declared: Operation, function: Function, request: Request, path: Mapping[str, str]) -> Response:
    """Call an operation; whatever happens there is an answer.

    No cache keeps what needs a token: it may hold personal data, and would outlast their erasure.
    """
    request_id = request_id_of(request)
    try:
        response = _encoded(function(_call(declared, request, path, request_id)), declared.status)
        if is_too_large(response.body):
            raise TooLarge(
                f"The answer would have more than {LARGEST_ANSWER / 1_000_000:g} MB, the most that can be returned."
            )
    except TooLarge as reason:
        response = problem_answer(Problem(422, f"{reason} {_advice(declared)}"), request, request_id)
    except Problem as problem:
        response = problem_answer(problem, request, request_id)
    except Exception:  # noqa: BLE001 - logged; whatever it is, the caller gets an answer
        logger.exception("an operation failed", extra={"operation": declared.id, "request_id": request_id})
        response = problem_answer(unexpected(), request, request_id)
    if declared.access != "public":
        response.headers["Cache-Control"] = "no-store"
    return response


def _call(declared: Operation, request: Request, path: Mapping[str, str], request_id: str) -> Call[Any, Any]:
    """What a request says. Who may not ask is told nothing of what else is wrong with it."""
    caller = _caller(declared, request)
    if not caller.may(declared.access):
        raise Problem(403, f"This needs a token of {WHO[declared.access]}.")
    decoded = {name: _decoded(name, text) for name, text in path.items()}
    application = decoded.get("application", "")
    if "application" in decoded and not caller.may_enter(application):
        raise Problem(403, "The token grants nothing for this application.")
    raw = request.raw_body
    if len(raw) > LARGEST_BODY:
        raise Problem(413, f"The body may have {LARGEST_BODY // 1024} kB.")
    return Call(
        application=application,
        path=decoded,
        query=decode_query(request.query_params, declared.query),
        body=None if declared.body is None else decode_body(_bytes(raw), declared.body),
        caller=caller,
        headers=request.headers,
        now=wiring.clock.now(),
        request_id=request_id,
    )


def _caller(declared: Operation, request: Request) -> Caller:
    if declared.access == "public":
        return NOBODY
    context = request.context.get("authorizer")
    if not context:
        # Nobody has checked the token. That the gateway does is not taken on trust.
        raise Problem(401, "A valid access token is needed.", headers={"WWW-Authenticate": "Bearer"})
    return caller_of(context)


def _decoded(name: str, text: str) -> str:
    """A part of the path, where it stands percent-encoded."""
    decoded = unquote(text)
    if name not in ("application", "journey", "journey_id"):
        return decoded
    try:
        return checked_id(decoded, f"{name.removesuffix('_id')}_id")
    except Rejected as reason:
        raise Problem(400, f"{reason}.") from reason


def _bytes(raw: str | bytes) -> bytes:
    return raw.encode() if isinstance(raw, str) else raw


def _encoded(given: msgspec.Struct | Answer, status: int) -> Response:
    """Text always: API Gateway takes bytes of certain types only, and compresses by itself."""
    answer = given if isinstance(given, Answer) else Answer(given, status)
    headers: HeadersType = dict(answer.headers)
    if answer.body is None:
        return Response("", headers, answer.status)
    headers["Content-Type"] = answer.content_type
    if isinstance(answer.body, str):
        return Response(answer.body, headers, answer.status)
    encoded = answer.body if isinstance(answer.body, bytes) else msgspec.json.encode(answer.body, enc_hook=values.spell)
    return Response(encoded.decode(), headers, answer.status)


def is_too_large(text: str) -> bool:
    """Whether an answer has more than `LARGEST_ANSWER` bytes."""
    return MOST_BYTES_EACH * len(text) > LARGEST_ANSWER and bytes_of(text) > LARGEST_ANSWER


def bytes_of(text: str) -> int:
    """The length of a text in an answer, as Lambda measures it.

    Lambda's runtime puts the answer into JSON, where a quote has two bytes. Up to Python 3.11 it
    escapes what is not ASCII, with six bytes for each UTF-16 unit.
    """
    return len(json.dumps(text)) - len('""')


def shorter_requests(declared: Operation) -> list[str]:
    """The requests that make an operation's answer shorter, in words."""
    fields = {one.encode_name for kind in (declared.query, declared.body) for one in _fields_of(kind)}
    return [words for field, words in SHORTER.items() if field in fields]


def _advice(declared: Operation) -> str:
    *others, last = shorter_requests(declared) or ["less"]
    return f"Ask for {' or '.join([', '.join(others), last] if others else [last])}."


def _fields_of(kind: Any) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(kind) if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else ()
