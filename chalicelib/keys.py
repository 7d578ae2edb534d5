"""Every key of both tables is built here, and nowhere else. Their layout stands in docs/architecture.md.

Variable parts are percent-encoded unless they come last, so no two names can give one key.
Times are 15 digits, milliseconds UTC, so that text order is time order.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Literal, NamedTuple
from urllib.parse import quote, unquote

from chalicelib.facts.model import Event, Fact, Identity, Interaction, Mark, PlacedFact, Recheck

LAST = "\U0010ffff"
"""Sorts after every character that a key may hold."""

FIELD = "\x1f"
"""Parts a raw journey id from what follows: below every character that ids may hold, so key order is id order (R4)."""

TALLY_BUCKETS = 8
DUE_BUCKETS = 4


class Key(NamedTuple):
    """Primary key of an item."""

    pk: str
    sk: str


def padded(time: int) -> str:
    """A time as it stands in keys."""
    return f"{time:015d}"


def _encoded(name: str) -> str:
    return quote(name, safe="")


# --- facts ---


def fact_partition(application: str, identity: Identity) -> str:
    return f"{_encoded(application)}#{identity.kind}#{identity.name}"


def fact_class(fact: Fact) -> str:
    """``e`` events, ``i`` interactions, ``l`` what links an alias, ``r`` rechecks of events, ``b`` marks."""
    if isinstance(fact, Event):
        return "e"
    if isinstance(fact, Recheck):
        return "r"
    if isinstance(fact, Mark):
        return "b"
    return "i" if isinstance(fact, Interaction) else "l"


def fact_key(placed: PlacedFact) -> Key:
    return Key(
        fact_partition(placed.application, placed.identity),
        f"{fact_class(placed.fact)}#{padded(placed.fact.time)}#{placed.digest}{'~' + placed.via if placed.via else ''}",
    )


def fact_range(cls: str, start: int, end: int | None) -> tuple[str, str]:
    """Sort keys of a class of facts with ``start <= time < end``."""
    return f"{cls}#{padded(start)}", f"{cls}#{padded(end)}" if end is not None else f"{cls}#{LAST}"


def parse_fact_key(key: Key) -> tuple[str, Identity, str, str]:
    """Application, identity, digest and via of a fact's key."""
    application, kind, name = key.pk.split("#", 2)
    if kind not in ("n", "u", "p", "x"):
        raise ValueError(f"no identity kind {kind!r}")
    digest, _, via = key.sk.rsplit("#", 1)[1].partition("~")
    return unquote(application), Identity(kind, name), digest, via  # type: ignore[arg-type]


# --- views of one generation ---


class ViewKeys:
    """Keys of an application's views in one generation."""

    def __init__(self, application: str, generation: int) -> None:
        self.application = application
        self.generation = generation
        self._prefix = f"{_encoded(application)}@{generation}"
        self._shared = f"{_encoded(application)}@"

    @property
    def prefix(self) -> str:
        """How the partition keys of all views of this generation begin."""
        return f"{self._prefix}#"

    def user(self, identity: Identity) -> str:
        return f"{self._prefix}#{identity.kind}#{identity.name}"

    def campaign(self, identity: Identity) -> Key:
        return Key(self.user(identity), "campaign")

    def alias(self, identity: Identity) -> str:
        """Partition of what is known of an alias: the same in all generations, as the copies of its facts are."""
        return f"{self._shared}#alias#{identity.kind}#{identity.name}"

    def links(self, identity: Identity) -> Key:
        return Key(self.alias(identity), "links")

    def link(self, identity: Identity, time: int, owner: Identity) -> Key:
        rank, name = owner.rank
        return Key(self.alias(identity), f"link#{padded(time)}#{rank}#{name}")

    def aliases(self, owner: Identity) -> str:
        """Partition of the aliases that were ever linked to an identity, in all generations."""
        return f"{self._shared}#aliases#{owner.kind}#{owner.name}"

    def sweep(self, identity: Identity, of: str) -> Key:
        """How far a sweep of an identity's facts is, in all generations."""
        return Key(f"{self._shared}#sweep#{identity.kind}#{identity.name}", of)

    def erasing(self, identity: Identity) -> Key:
        """How far the erasure of an identity is, in all generations."""
        return self.sweep(identity, "erasure")

    def alias_of(self, owner: Identity, alias: Identity) -> Key:
        return Key(self.aliases(owner), f"{alias.kind}#{alias.name}")

    def bar(self, hashed: str) -> Key:
        """Up to when an identity is erased; its name stands here only as a keyed hash."""
        return Key(f"{self._shared}#bar#{hashed}", "bar")

    def touch(self, identity: Identity, order: str) -> Key:
        return Key(self.user(identity), f"touch#{order}")

    def credit(self, identity: Identity, time: int, digest: str) -> Key:
        return Key(self.user(identity), f"credit#{padded(time)}#{digest}")

    def participation(self, identity: Identity, journey: str) -> Key:
        return Key(self.user(identity), f"part#{journey}")

    def waiting_campaigns(self, journey: str) -> str:
        """Partition of the users whose campaign is a journey that nobody named yet; the sort key is the user name."""
        return f"{self._shared}#unnamed#{journey}"

    def seen(self, identity: Identity, digest: str) -> Key:
        """Says that a fact is in the tallies of this generation."""
        return Key(self.user(identity), f"seen#{digest}")

    def journey_credits(self, journey: str) -> str:
        """Index partition of a journey's credited events."""
        return f"{self._prefix}#journey#{journey}"

    def stamped(self, stamp: str) -> str:
        """Partition of the events that their stamp alone decides, or decided in any generation."""
        return f"{self._shared}#stamp#{stamp}"

    def stamped_event(self, stamp: str, identity: Identity, time: int, digest: str) -> Key:
        return Key(self.stamped(stamp), f"{padded(time)}#{digest}#{identity.kind}#{identity.name}")

    def waiting_for(self, journey: str) -> str:
        """Partition of the touches that wait for a journey to be named, in all generations."""
        return f"{self._shared}#waiting#{journey}"

    def waiting(self, journey: str, identity: Identity, time: int, digest: str) -> Key:
        return Key(self.waiting_for(journey), f"{padded(time)}#{digest}#{identity.kind}#{identity.name}")

    def tally(self, bucket: int, day: str, journey: str | None) -> Key:
        """Tallies of a day: of one journey, or of the application where ``journey`` is None."""
        return Key(f"{self._prefix}#tally#{bucket}", f"{day}#{'' if journey is None else 'j' + journey}")

    def far_tally(self, bucket: int, day: str, journey: str) -> Key:
        """Users of a day by when they were active before, where that was long ago: reports of a month need none."""
        return Key(f"{self._prefix}#far#{bucket}", self.tally(bucket, day, journey).sk)

    def codes(self, of: Literal["events", "stamps"]) -> Key:
        """What the codes stand for under which tallies count."""
        return Key(f"{self._prefix}#codes", of)

    def tally_range(self, bucket: int, first: str, end: str) -> tuple[str, str, str]:
        """Partition and sort key range of the tallies with ``first <= day < end``."""
        return self.tally(bucket, "", None).pk, first, end

    def far_tally_range(self, bucket: int, first: str, end: str) -> tuple[str, str, str]:
        """The same of what a month's report does not need."""
        return self.far_tally(bucket, "", "").pk, first, end

    def tally_partitions(self) -> Iterator[str]:
        """All partitions of tallies."""
        yield self.codes("events").pk
        for bucket in range(TALLY_BUCKETS):
            yield self.tally(bucket, "", None).pk
            yield self.far_tally(bucket, "", "").pk


def parse_user_partition(pk: str) -> tuple[str, int, Identity] | None:
    """Application, generation and identity of a partition of views, or None where it is no user's."""
    prefix, _, rest = pk.partition("#")
    kind, _, name = rest.partition("#")
    application, at, generation = prefix.rpartition("@")
    if not at or kind not in ("n", "u", "p", "x"):
        return None
    return unquote(application), int(generation), Identity(kind, name)  # type: ignore[arg-type]


def parse_tally_journey(sk: str) -> tuple[str, str | None]:
    """Day and journey (None: the application) of a tally's sort key."""
    day, _, scope = sk.partition("#")
    return day, scope[1:] if scope else None


def due_partition(bucket: int) -> str:
    """Index partition of open windows; the sort key is the window's end."""
    return f"due#{bucket}"


def due_bucket(pk: str) -> int:
    return zlib.crc32(pk.encode()) % DUE_BUCKETS


# --- outside generations ---


def settings_key(application: str) -> Key:
    return Key(f"app#{_encoded(application)}", "settings")


def settings_change_key(application: str, revision: int) -> Key:
    return Key(f"app#{_encoded(application)}", f"settings-change#{revision:012d}")


def settings_change_range(application: str, before: int | None) -> tuple[str, str, str]:
    """Partition and sort key range of the changes of settings, of those before a revision where one is given."""
    pk, first = settings_change_key(application, 0)
    return pk, first, f"settings-change#{LAST}" if before is None else settings_change_key(application, before - 1).sk


def facts_seen_key(application: str) -> Key:
    """Says that an application has facts."""
    return Key(f"app#{_encoded(application)}", "seen")


def journey_key(application: str, journey: str) -> Key:
    return Key(f"app#{_encoded(application)}", f"journey#{journey}")


def parse_journey_key(key: Key) -> tuple[str, str] | None:
    """Application and journey of a registry key, or None where it is none."""
    if not key.pk.startswith("app#") or not key.sk.startswith("journey#"):
        return None
    return unquote(key.pk[4:]), key.sk[len("journey#") :]


def unnamed_key(application: str) -> Key:
    """How many journeys nobody has named yet."""
    return Key(f"app#{_encoded(application)}", "unnamed-journeys")


def label_key(application: str, label: str) -> Key:
    """Which journeys go by a name."""
    return Key(f"app#{_encoded(application)}", f"label#{label}")


def job_key(application: str, job: str) -> Key:
    """A job's id begins with the time at which it was asked for, so keys sort by it."""
    return Key(f"app#{_encoded(application)}", f"job#{job}")


def active_jobs_key(application: str) -> Key:
    """Lists the jobs that may not be over."""
    return Key(f"app#{_encoded(application)}", "jobs")


def job_range(application: str, last: str | None) -> tuple[str, str, str]:
    """Partition and sort key range of an application's jobs, up to one of them where an id is given."""
    return f"app#{_encoded(application)}", "job#", f"job#{LAST if last is None else last}"


def export_prefix(application: str, job: str = "") -> str:
    """Where an application's exports lie in their bucket, or one job's."""
    return f"exports/{_encoded(application)}/{job + '/' if job else ''}"


def set_aside_key(shard: str, sequence: int) -> Key:
    """A change record that cannot be projected."""
    return Key("set-aside", f"{shard}#{sequence:040d}")


def set_aside_range() -> tuple[str, str, str]:
    """Partition and sort key range of all such records."""
    return "set-aside", " ", LAST


def set_aside_total_key(application: str) -> Key:
    """How many of an application's records are set aside."""
    return Key(f"app#{_encoded(application)}", "set-aside")


def job_files_prefix(application: str, job: str) -> str:
    """Where lies what a job left that its item cannot hold, in the bucket of the exports."""
    return f"jobs/{_encoded(application)}/{job}/"


def watermark_key(shard: str) -> Key:
    return Key(f"shard#{shard}", "watermark")


def tally_bucket(shard: str) -> int:
    """The bucket of a shard that met another one at a tally: two shards seldom meet there again."""
    return zlib.crc32(shard.encode()) % TALLY_BUCKETS


CURSOR_SECRET = Key("secret", "cursor")
ERASURE_SECRET = Key("secret", "erasure")
