"""Jobs as the API shows them and is asked for them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from chalicelib.api.schemas.compare import CompareParams, PreviewBody, params_of
from chalicelib.api.schemas.values import Instant
from chalicelib.facts.model import flaw_of_id

MOST_JOBS = 100

State = Literal["queued", "running", "done", "failed", "cancelled"]


class ExportEventsRequest(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="export_events"
):
    """All credited events of a period to S3, of one journey or of all.

    ``from`` is included, ``to`` is not; without them there is no bound.
    """

    from_: Instant | None = msgspec.field(name="from", default=None)
    to: Instant | None = None
    journey_id: str | None = None

    def __post_init__(self) -> None:
        if self.from_ is not None and self.to is not None and self.from_ >= self.to:
            raise ValueError("to must be later than from; from is included, to is not")
        if self.journey_id is not None and (flaw := flaw_of_id(self.journey_id)):
            raise ValueError(f"journey_id {flaw}")

    def params(self, application: str) -> dict[str, Any]:  # noqa: ARG002 - as the others
        """For the job's kind; times in ms UTC."""
        bounds = {"from": self.from_, "to": self.to}
        return {
            **{name: int(value) for name, value in bounds.items() if value is not None},
            **({} if self.journey_id is None else {"journey_id": self.journey_id}),
        }


class CompareRequest(CompareParams, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="compare"):
    """Attribution models side by side, for more events than a request can wait for."""

    def params(self, application: str) -> dict[str, Any]:
        """For the job's kind. Raises ValueError with a sentence where there is no such question."""
        return params_of(self.question(application))


class PreviewRequest(PreviewBody, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="preview"):
    """The report under changed settings, for more facts than a request can wait for."""

    def params(self, application: str) -> dict[str, Any]:
        """For the job's kind. Raises ValueError with a sentence where there is no such question."""
        return params_of(self.question(application))


JobRequest = ExportEventsRequest | CompareRequest | PreviewRequest
"""What is to be done; ``kind`` says which of them it is."""


class JobsQuery(msgspec.Struct, frozen=True):
    """Which page of the jobs."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST_JOBS)] = 20
    cursor: str | None = None


class JobProgress(msgspec.Struct, frozen=True):
    """How much is done, of how much; ``total`` is null while that is not known."""

    done: int
    total: int | None


class ResultFile(msgspec.Struct, frozen=True):
    """A result that an answer cannot hold, as JSON: ``link`` opens it for so many seconds."""

    bytes: int
    link: str
    expires_in_seconds: int


class JobAnswer(msgspec.Struct, frozen=True):
    """A job. ``result`` is there when it is done, ``error`` when it failed.

    A result of more than 16 kB is null in the list, and there when the job itself is asked for. One of more than 4 MB
    is null there, too, and ``result_file`` says where to get it.

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
    result_file: ResultFile | msgspec.UnsetType = msgspec.UNSET


class JobList(msgspec.Struct, frozen=True):
    """A page of jobs, newest first, and where the next one begins (null: there are no more)."""

    items: list[JobAnswer]
    next_cursor: str | None
