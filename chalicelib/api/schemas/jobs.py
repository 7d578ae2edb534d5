"""Jobs as the API shows them and is asked for them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from chalicelib.api.schemas.values import Instant
from chalicelib.facts.model import flaw_of_id

MOST_JOBS = 100

Kind = Literal["export_events"]
State = Literal["queued", "running", "done", "failed", "cancelled"]


class JobRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be done.

    ``export_events``: all credited events of a period to S3, of one journey or of all. ``from`` is included, ``to`` is
    not; without them there is no bound.
    """

    kind: Kind
    from_: Instant | None = msgspec.field(name="from", default=None)
    to: Instant | None = None
    journey_id: str | None = None

    def __post_init__(self) -> None:
        if self.from_ is not None and self.to is not None and self.from_ >= self.to:
            raise ValueError("to must be later than from; from is included, to is not")
        if self.journey_id is not None and (flaw := flaw_of_id(self.journey_id)):
            raise ValueError(f"journey_id {flaw}")

    def params(self) -> dict[str, Any]:
        """For the job's kind; times in ms UTC."""
        given = {"from": self.from_, "to": self.to, "journey_id": self.journey_id}
        return {name: int(value) if isinstance(value, int) else value for name, value in given.items() if value}


class JobsQuery(msgspec.Struct, frozen=True):
    """Which page of the jobs."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST_JOBS)] = 20
    cursor: str | None = None


class JobProgress(msgspec.Struct, frozen=True):
    """How much is done, of how much; ``total`` is null while that is not known."""

    done: int
    total: int | None


class JobAnswer(msgspec.Struct, frozen=True):
    """A job. ``result`` is there when it is done, ``error`` when it failed.

    The result of ``export_events`` names the bucket, the folder, the manifest and the first files, and says how many
    events and how much value per currency they hold; ``links`` in it, for marketers only, open the files for an hour.
    """

    job_id: str
    kind: str
    state: State
    progress: JobProgress
    created: Instant
    started: Instant | None
    finished: Instant | None
    requested_by: str
    params: dict[str, Any]
    result: dict[str, Any] | None
    error: str | None


class JobList(msgspec.Struct, frozen=True):
    """A page of jobs, newest first, and where the next one begins (null: there are no more)."""

    items: list[JobAnswer]
    next_cursor: str | None
