"""Jobs: work that is too long for a request, kept as items that say how far it is.

A job is saved under a condition on its version. Whoever works on it, and whoever cancels it, saves what it became; of
two who do so at once only one gets through, so a job goes one way whatever is delivered twice.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

import msgspec
from botocore.exceptions import ClientError

from chalicelib.keys import job_key, job_range, padded
from chalicelib.tables import Item, Table, to_wire
from chalicelib.times import DAY_MS, SECOND_MS

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

State = Literal["queued", "running", "done", "failed", "cancelled"]

KEPT_DAYS = 30
"""How long a job can be asked for; the objects that exports leave are kept as long."""

LARGEST_WORK = 300_000
"""Bytes of the state in which a job is left between steps: DynamoDB takes items of 400 kB."""

SAVE_RACES = 10

_ID = re.compile(r"[0-9]{15}-[0-9a-f]{10}")
"""When the job was asked for, and what tells those of one millisecond apart."""


class Overtaken(Exception):
    """Somebody else saved the job first."""


class JobFailed(Exception):
    """A job cannot be done, however often it is tried; the message is a sentence for whoever asked for it."""


class JobKind(Protocol):
    """Work in steps of about two seconds, each of which may be done twice.

    ``params`` are those that were asked for, with ``application`` and ``job`` (its id) put in. A state is anything that
    JSON holds, up to 300 kB. Whatever a step writes outside must be the same when it is done again from the same state.
    """

    def start(self, params: Mapping[str, Any]) -> Any:
        """The state before the first step. May raise `JobFailed`, as the others may."""

    def step(self, state: Any) -> tuple[Any, int, int | None, bool]:
        """The next state, how much is done, of how much (None: not known), and whether that is all."""

    def result(self, state: Any) -> Any:
        """What the finished job answers, as JSON holds it."""


Kinds = Mapping[str, Callable[[], JobKind]]


class Question(Protocol):
    """What a job is asked to find out."""

    def flaw(self) -> str | None:
        """Why it cannot be answered, as a sentence for the caller."""


Asked = TypeVar("Asked", bound=Question)


def asked(params: Mapping[str, Any], kind: type[Asked]) -> Asked:
    """The question in a job's parameters.

    Raises
    ------
    JobFailed
        There is none that can be answered.
    """
    try:
        question = msgspec.convert(dict(params), kind, strict=False)
    except ValueError as reason:
        raise JobFailed(f"{reason}.") from reason
    if flaw := question.flaw():
        raise JobFailed(flaw)
    return question


class Job(msgspec.Struct, frozen=True):
    """A job as it was last saved; times in ms UTC, ``work`` is the kind's state between steps.

    ``failures`` counts how often the next step failed in a row.
    """

    application: str
    id: str
    kind: str
    params: dict[str, Any]
    by: str
    created: int
    saved: int
    asked: dict[str, Any] = {}
    version: int = 1
    state: State = "queued"
    started: int | None = None
    finished: int | None = None
    done: int = 0
    total: int | None = None
    work: Any = None
    result: Any = None
    error: str | None = None
    failures: int = 0

    @property
    def active(self) -> bool:
        """Whether it may still change."""
        return self.state in ("queued", "running")

    def ended(self, state: State, now: int, *, result: Any = None, error: str | None = None) -> Job:
        """The job at its end; what it left between steps is of no more use."""
        return msgspec.structs.replace(self, state=state, finished=now, result=result, error=error, work=None)


_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = msgspec.json.Decoder(Job)


class JobStore:
    """Jobs in the views table."""

    def __init__(self, views: Table) -> None:
        self._views = views

    def create(
        self,
        application: str,
        kind: str,
        params: Mapping[str, Any],
        by: str,
        now: int,
        asked: Mapping[str, Any] | None = None,
    ) -> Job:
        """Store a job that nobody works on yet. ``asked`` are the parameters as whoever asked for it spelled them."""
        job_id = f"{padded(now)}-{secrets.token_hex(5)}"
        job = Job(application, job_id, kind, dict(params), by, now, now, asked=dict(params if asked is None else asked))
        self._put(job, {"ConditionExpression": "attribute_not_exists(pk)"})
        return job

    def get(self, application: str, job: str) -> Job | None:
        """The job of an id, which may be any text."""
        if not _ID.fullmatch(job):
            return None
        item = self._views.get(job_key(application, job))
        return _decoder.decode(item["document"]) if item else None

    def newest(self, application: str, limit: int, below: str | None = None) -> list[Job]:
        """The newest jobs, newest first; those asked for before the one named ``below``."""
        pk, first, last = job_range(application, below)
        items = self._views.query(pk, first, last, descending=True, limit=limit + 1)
        jobs = [_decoder.decode(one["document"]) for one in items]
        return [one for one in jobs if one.id != below][:limit]

    def save(self, job: Job, now: int) -> Job:
        """Save what a job became since it was read.

        Raises
        ------
        Overtaken
            Somebody else saved it since.
        """
        saved = msgspec.structs.replace(job, version=job.version + 1, saved=now)
        condition: dict[str, Any] = {
            "ConditionExpression": "#v = :v",
            "ExpressionAttributeNames": {"#v": "version"},
            "ExpressionAttributeValues": {":v": {"N": str(job.version)}},
        }
        self._put(saved, condition)
        return saved

    def cancel(self, application: str, job: str, now: int) -> Job | None:
        """Cancel a job that is not over; one that is stays as it is. None where there is no such job.

        Raises
        ------
        Overtaken
            Its worker saved a step first, time after time.
        """
        for _ in range(SAVE_RACES):
            found = self.get(application, job)
            if found is None or not found.active:
                return found
            try:
                return self.save(found.ended("cancelled", now), now)
            except Overtaken:
                continue
        raise Overtaken(job)

    def _put(self, job: Job, condition: Mapping[str, Any]) -> None:
        key = job_key(job.application, job.id)
        item: Item = {
            "pk": key.pk,
            "sk": key.sk,
            "version": job.version,
            "ttl": (job.created + KEPT_DAYS * DAY_MS) // SECOND_MS,
            "document": _encoder.encode(job).decode(),
        }
        try:
            self._views.client.put_item(TableName=self._views.name, Item=to_wire(item), **condition)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "ConditionalCheckFailedException":
                raise
            raise Overtaken(job.id) from error


class Task(msgspec.Struct, frozen=True):
    """A message of the queue: go on with this job."""

    application: str
    job: str


_tasks = msgspec.json.Decoder(Task)


def task_of(body: str) -> Task:
    """The task in a message's body.

    Raises
    ------
    msgspec.DecodeError
        Nobody but `JobQueue` writes into the queue.
    """
    return _tasks.decode(body)


class JobQueue:
    """Where the workers take their tasks from."""

    def __init__(self, sqs: SQSClient, url: str) -> None:
        self._sqs = sqs
        self._url = url

    def send(self, job: Job, delay_s: int = 0) -> None:
        """Have somebody go on with a job, after up to 900 seconds."""
        body = msgspec.json.encode(Task(job.application, job.id)).decode()
        self._sqs.send_message(QueueUrl=self._url, MessageBody=body, DelaySeconds=delay_s)


def submit(jobs: JobStore, queue: JobQueue, job: Job, now: int) -> None:
    """Queue a new job. One that cannot be queued is stored as failed, and the error goes on."""
    try:
        queue.send(job)
    except Exception:
        jobs.save(job.ended("failed", now, error="The job could not be queued; ask for it again."), now)
        raise
