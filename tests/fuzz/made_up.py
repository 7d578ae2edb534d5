"""Inputs that hypothesis makes up: JSON of any kind, and records whose fields are each right or anything at all."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from tests.fuzz.mutations import KEYS, NUMBERS, TEXTS, T

Strategy = st.SearchStrategy[Any]

APPLICATIONS = ["a", "b", "c", "d", "e", "f"]

texts = st.text(max_size=20) | st.sampled_from(TEXTS)
scalars: Strategy = (
    st.none() | st.booleans() | st.integers() | st.floats() | texts | st.sampled_from([*NUMBERS, "j1", "jane"])
)
anything: Strategy = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | texts, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def field(draw: st.DrawFn, right: Strategy) -> Any:
    """Right, but for one in sixteen."""
    return draw(anything if draw(st.integers(0, 15)) == 15 else right)


def some_of(**fields: Strategy) -> Strategy:
    """An object with some of these fields."""
    return st.fixed_dictionaries({}, optional={name: field(value) for name, value in fields.items()})


types = st.sampled_from(
    ["purchase", "custom", "refund", "_email.open", "_email.click", "_journey.send", "_journey.opened_notification",
     "_monetization.purchase", "_x"]
)  # fmt: skip
times = st.integers(T - 90 * 86_400_000, T + 90 * 86_400_000) | st.sampled_from([0, 253_402_300_799_999])
names = st.sampled_from(["jane", "joe", "e1", "u1"]) | texts
endpoints = some_of(
    ChannelType=st.sampled_from(["EMAIL", "SMS"]),
    User=some_of(UserId=names, UserAttributes=some_of(username=st.lists(names, max_size=2) | names, login=names)),
)
records = st.fixed_dictionaries(
    {
        "event_type": field(types),
        "event_timestamp": field(times),
        "application": field(st.fixed_dictionaries({"app_id": field(st.sampled_from(APPLICATIONS))})),
    },
    optional={
        "arrival_timestamp": field(times),
        "client": field(some_of(client_id=names)),
        "session": field(some_of(session_id=texts)),
        "attributes": field(some_of(journey_id=st.just("j1"), campaign=texts, currency=texts, journey_run_id=texts)),
        "metrics": field(some_of(price=st.integers() | st.floats(), _item_price=st.floats(), _quantity=st.integers())),
        "endpoint": field(endpoints),
        "client_context": field(some_of(custom=some_of(endpoint=endpoints.map(json.dumps)))),
        "facets": field(some_of(email_channel=some_of(mail_event=some_of(mail=some_of(message_id=texts))))),
    },
)
steps = st.fixed_dictionaries(
    {
        "ApplicationId": field(st.sampled_from(APPLICATIONS)),
        "JourneyId": field(st.just("j1")),
        "Endpoints": field(st.dictionaries(names, field(endpoints), max_size=4)),
    },
    optional={"ScheduledTime": field(st.datetimes().map(lambda at: at.isoformat() + "Z") | texts)},
)


def encoded(value: object) -> bytes:
    """As a client would send it; half characters stand as they are."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


@st.composite
def record(draw: st.DrawFn) -> bytes | None:
    """Mostly nearly a record, else any JSON, any bytes, or one whose data is broken on its way (None)."""
    kinds: list[st.SearchStrategy[bytes | None]] = [anything.map(encoded), st.binary(max_size=40), st.none()]
    kind = draw(st.integers(0, 15))
    return draw(kinds[kind] if kind < len(kinds) else records.map(encoded))


batches = st.lists(record(), min_size=8, max_size=30)
