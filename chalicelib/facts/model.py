"""Facts: what happened, to whom, when. Immutable, ordered by nothing but their own content.

A fact belongs to an *identity*; which identity a source names and which user it turns out to be are different
questions (rule R6). Times are milliseconds UTC. Nothing here knows of AWS.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

import msgspec

IdentityKind = Literal["n", "u", "p", "x"]
"""``n`` Cognito user name, ``u`` Pinpoint ``UserId``, ``p`` endpoint id, ``x`` nobody (an event that names no one)."""

ALIAS_KINDS = ("u", "p")

PURCHASE = "_monetization.purchase"
"""The one event type of Pinpoint's own that counts as an event (R10);
it carries its value in fields of its own (R12).
"""


LONGEST_ID = 256
"""Bytes of an application id, journey id or event type."""


def flaw_of_id(text: str, longest: int = LONGEST_ID) -> str | None:
    """Why no key can hold an id, in words that follow its name; None where one can."""
    if not text.strip():
        return "is empty"
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return "holds half a character"
    if size > longest:
        return f"is longer than {longest} bytes"
    if any(unicodedata.category(one) == "Cc" for one in text):
        return "has control characters"
    return None


class Identity(msgspec.Struct, frozen=True):
    """Whom a fact names."""

    kind: IdentityKind
    name: str

    @property
    def is_alias(self) -> bool:
        """Whether this identity may turn out to be another one."""
        return self.kind in ALIAS_KINDS

    @property
    def rank(self) -> tuple[int, str]:
        """Order of two links made at one millisecond: a user name beats a ``UserId``, then the greater name (R6);
        what is left of an erased user's link, which decided that millisecond, goes on deciding it.
        """
        if self.kind == "x":
            return (3, self.name)
        return (2 if self.kind == "n" else 1, self.name)


ERASED = Identity("x", "")
"""Whose an alias was while it was a user's who is erased. Nobody else has this name."""


class Event(msgspec.Struct, frozen=True, tag="event", tag_field="fact", omit_defaults=True):
    """A custom event or purchase, with all that settings may later ask of it (R10-R12)."""

    time: int
    type: str
    attributes: dict[str, str] = {}
    metrics: dict[str, Decimal] = {}


class Interaction(msgspec.Struct, frozen=True, tag="interaction", tag_field="fact", omit_defaults=True):
    """A user did something with a journey's message:
    ``email.click``, ``email.open``, ``push.opened_notification``, ``journey.step``.
    """

    time: int
    kind: str
    channel: str
    journey: str
    user_agent: str | None = None


class Send(msgspec.Struct, frozen=True, tag="send", tag_field="fact", omit_defaults=True):
    """A journey sent a message to the endpoint in whose partition this lies;
    ``owner`` is the user the endpoint is linked to.
    """

    time: int
    journey: str
    status: str | None = None
    owner: Identity | None = None
    user_id: str | None = None


class Step(msgspec.Struct, frozen=True, tag="step", tag_field="fact", omit_defaults=True):
    """An endpoint passed a journey's custom step: a touch, and a link like a send."""

    time: int
    journey: str
    channel: str
    owner: Identity | None = None
    user_id: str | None = None


class Link(msgspec.Struct, frozen=True, tag="link", tag_field="fact", omit_defaults=True):
    """The ``UserId`` in whose partition this lies was ``owner`` at this time."""

    time: int
    owner: Identity


class Recheck(msgspec.Struct, frozen=True, tag="recheck", tag_field="fact", omit_defaults=True):
    """What a stamp names changed, so an event that bears it is to be decided again; or somebody named the ``journey``
    that a touch waits for.

    ``time`` and ``event`` (its digest) name the fact; ``cause`` differs from change to change, so each is noticed.
    """

    time: int
    event: str
    cause: str
    journey: str = ""


class RecheckAll(msgspec.Struct, frozen=True, tag="recheck_all", tag_field="fact", omit_defaults=True):
    """All that waits for a name is to be rechecked: events that bear it as their stamp, or touches of the journey whose
    id it is. The name is that of the identity (of kind ``x``) in whose partition this lies.

    ``cause`` differs from change to change, ``turn`` from turn to turn, so that each is noticed. ``after`` is the sort
    key of the last one that is rechecked.
    """

    of: Literal["stamp", "journey"]
    cause: str
    time: int = 0
    turn: int = 0
    after: str = ""


SweepKind = Literal["decisions", "links", "places"]


class Sweep(msgspec.Struct, frozen=True, tag="sweep", tag_field="fact", omit_defaults=True):
    """What was too much for one record goes on here: events of the identity in whose partition this lies are to be
    decided, the links of the alias to be kept, or its facts to be placed where they say. How far it is stands in the
    views.

    ``turn`` differs from turn to turn, so that each is noticed.
    """

    of: SweepKind
    turn: int = 0
    time: int = 0


class Retry(msgspec.Struct, frozen=True, tag="retry", tag_field="fact", omit_defaults=True):
    """A record that was set aside, by the sort key of its item, is to be tried again.

    ``attempt`` differs from try to try, so that each is noticed.
    """

    set_aside: str
    attempt: str
    time: int = 0


class Rebuild(msgspec.Struct, frozen=True, tag="rebuild", tag_field="fact", omit_defaults=True):
    """All views of the identity in whose partition this lies are to be made in a new generation.

    ``attempt`` differs from try to try, ``turn`` from turn to turn, so that each is noticed. ``after`` is the sort key
    of the last fact that was folded in.
    """

    generation: int
    attempt: str
    time: int = 0
    turn: int = 0
    after: str = ""


class Erase(msgspec.Struct, frozen=True, tag="erase", tag_field="fact", omit_defaults=True):
    """What is known of the identity in whose partition this lies is to be erased, as far as it is of ``until`` or
    earlier (ms UTC). How far it is stands in the views.

    Attributes
    ----------
    owner
        The erased user whose alias the identity was: only what was this user's goes. None: the identity is the user.
    turn
        Differs from turn to turn, so that each is noticed.
    """

    until: int
    owner: Identity | None = None
    time: int = 0
    turn: int = 0


Mark = RecheckAll | Sweep | Retry | Rebuild | Erase
"""What makes the projection work on a partition, and is no fact of its own."""

Fact = Event | Interaction | Send | Step | Link | Recheck | Mark

_encoder = msgspec.json.Encoder(order="deterministic")
_decoder: msgspec.json.Decoder[Fact] = msgspec.json.Decoder(Fact)


class PlacedFact(msgspec.Struct, frozen=True):
    """A fact in the partition of an identity of an application.

    Attributes
    ----------
    digest
        Content digest: two records of one fact have the same, however often and by whatever way they come.
    via
        Of a copy that the projection placed here: ``p`` or ``u``, the kind of the alias it came from, ``s`` by
        the step or send that names this identity itself. Empty: the original. Copies are never counted in totals.
    gone
        A copy that a link moved elsewhere.
    """

    application: str
    identity: Identity
    digest: str
    fact: Fact
    via: str = ""
    gone: bool = False


def encode_fact(fact: Fact) -> str:
    """The one stored form of a fact; equal facts give equal text."""
    return _encoder.encode(fact).decode()


def decode_fact(text: str) -> Fact:
    """The fact in a stored form.

    Raises
    ------
    msgspec.ValidationError
        It is not a stored fact.
    """
    return _decoder.decode(text)


def digest_of(content: Sequence[object]) -> str:
    """128-bit digest of what makes a fact distinct, as 32 hex digits.

    Parts are encoded, not joined, so that no two contents run together.
    """
    return hashlib.blake2b(_encoder.encode(content), digest_size=16).hexdigest()
