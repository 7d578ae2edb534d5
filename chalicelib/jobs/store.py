"""Jobs: work that is too long for a request, kept as items that say how far it is.

A job is saved under a condition on its version. Whoever works on it, and whoever cancels it, saves what it became; of
two who do so at once only one gets through, so a job goes one way whatever is delivered twice.
"""

from __future__ import annotations

import hashlib
import random
import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.keys import active_jobs_key, job_files_prefix, job_key, job_range, padded
from chalicelib.observability import logger
from chalicelib.tables import Conflict, Item, Table, to_wire, unchanged, version_in
from chalicelib.times import DAY_MS, SECOND_MS

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

State = Literal["queued", "running", "done", "failed", "cancelled"]

KEPT_DAYS = 30
"""How long a job can be asked for; the objects that exports and jobs leave are kept as long."""

LARGEST_WORK = 10_000_000
"""Bytes of the state in which a job is left between steps, or of its answer."""

LARGEST_INLINE = 16_000
"""Bytes of a state or an answer in the job's item; what is larger is a file beside the exports."""

LARGEST_REQUEST = 40_000
"""Bytes of what a job is asked for with, which its item holds twice: as it was spelled, and for the job's kind."""

MOST_ACTIVE = 20
"""Jobs of an application that are not over; who asks for more must wait."""

STALE_MS = 600_000
"""A job that is not over and was not saved for so long may have lost its message: it is sent once more."""

SAVE_RACES = 10
CREATE_RACES = 200

_ID = re.compile(r"[0-9]{15}-[0-9a-f]{10}")
"""When the job was asked for, and what tells those of one millisecond apart."""


class Overtaken(Exception):
    """Somebody else saved the job first."""


class TooManyJobs(Exception):
    """As many jobs of the application as there may be are not over; ``jobs`` are these."""

    def __init__(self, jobs: list[Job]) -> None:
        super().__init__(f"{len(jobs)} jobs are not over")
        self.jobs = jobs


class RequestTooLarge(Exception):
    """A job is asked for with more than its item takes (`LARGEST_REQUEST`)."""


class JobFailed(Exception):
    """A job cannot be done, however often it is tried; the message is a sentence for whoever asked for it."""


class JobKind(Protocol):
    """Work in steps of about two seconds, each of which may be done twice.

    ``params`` are those that were asked for, with ``application`` and ``job`` (its id) put in. A state is anything that
    JSON holds, up to 10 MB. Whatever a step writes outside must be the same when it is done again from the same state.
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
    work_file: str | None = None
    result: Any = None
    result_file: str | None = None
    error: str | None = None
    failures: int = 0

    @property
    def active(self) -> bool:
        """Whether it may still change."""
        return self.state in ("queued", "running")

    def ended(self, state: State, now: int, *, result: Any = None, error: str | None = None) -> Job:
        """The job at its end; what it left between steps is of no more use."""
        return msgspec.structs.replace(
            self, state=state, finished=now, result=result, error=error, work=None, work_file=None
        )


_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = msgspec.json.Decoder(Job)


class JobFiles:
    """States and answers that are too large for an item, as objects beside the exports, with which they expire."""

    def __init__(self, s3: S3Client, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def put(self, job: Job, what: str, content: bytes) -> str:
        """Store what a job left; the object's key. Two workers who leave different content do not meet."""
        digest = hashlib.blake2b(content, digest_size=16).hexdigest()
        key = f"{job_files_prefix(job.application, job.id)}{what}-{digest}.json"
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=content, ContentType="application/json")
        return key

    def get(self, key: str) -> bytes:
        """What stands under a key."""
        return self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()

    def size(self, key: str) -> int:
        """Bytes of what stands under a key."""
        return self._s3.head_object(Bucket=self._bucket, Key=key)["ContentLength"]

    def delete(self, key: str) -> None:
        """Delete what is of no more use; what cannot be deleted expires."""
        try:
            self._s3.delete_object(Bucket=self._bucket, Key=key)
        except (ClientError, BotoCoreError):
            logger.exception("a job's former state could not be deleted", extra={"key": key})

    def link(self, key: str, seconds: int) -> str:
        """An address that gives an object to anybody for a time."""
        return self._s3.generate_presigned_url(
            "get_object", Params={"Bucket": self._bucket, "Key": key}, ExpiresIn=seconds
        )


class JobStore:
    """Jobs in the views table, and what they leave that is too large for it."""

    def __init__(self, views: Table, files: JobFiles, sleep: Callable[[float], None] = time.sleep) -> None:
        self._views = views
        self.files = files
        self._sleep = sleep

    def create(
        self,
        application: str,
        kind: str,
        params: Mapping[str, Any],
        by: str,
        now: int,
        asked: Mapping[str, Any] | None = None,
    ) -> Job:
        """Store a job that nobody works on yet. ``asked`` are the parameters as whoever asked for it spelled them.

        It is stored together with the list of the application's jobs that may not be over, so of any number of
        callers at once no more get through than there may be.

        Raises
        ------
        TooManyJobs
            `MOST_ACTIVE` are not over.
        RequestTooLarge
            An item cannot hold the parameters.
        Overtaken
            Others changed the list first, time after time.
        """
        job_id = f"{padded(now)}-{secrets.token_hex(5)}"
        job = Job(application, job_id, kind, dict(params), by, now, now, asked=dict(params if asked is None else asked))
        if max(len(_encoder.encode(one)) for one in (job.params, job.asked)) > LARGEST_REQUEST:
            raise RequestTooLarge
        key = active_jobs_key(application)
        for _ in range(CREATE_RACES):
            item = self._views.get(key)
            listed = list(item["jobs"]) if item else []
            if len(listed) >= MOST_ACTIVE:
                active = self._active(application, listed)
                if len(active) >= MOST_ACTIVE:
                    raise TooManyJobs(active)
                listed = [one.id for one in active]
            ids = dict.fromkeys(sorted([*listed, job.id]), 1)
            list_of_active = {"pk": key.pk, "sk": key.sk, "version": version_in(item) + 1, "jobs": ids}
            try:
                self._views.transact(
                    [
                        self._views.put_operation(_item(job), unchanged(None)),
                        self._views.put_operation(list_of_active, unchanged(item)),
                    ]
                )
            except Conflict:
                self._sleep(random.uniform(0, 0.05))  # noqa: S311 - jitter, not a secret
                continue
            return job
        raise Overtaken(job.id)

    def _active(self, application: str, ids: Iterable[str]) -> list[Job]:
        """Those of some jobs that are not over."""
        items = self._views.get_many(job_key(application, one) for one in ids)
        return [job for item in items.values() if (job := _decoder.decode(item["document"])).active]

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

    def work_of(self, job: Job) -> Any:
        """The state between two steps in which a job was left."""
        return job.work if job.work_file is None else msgspec.json.decode(self.files.get(job.work_file))

    def save(self, job: Job, now: int) -> Job:
        """Save what a job became since it was read. A new state or answer that is large becomes a file.

        Raises
        ------
        Overtaken
            Somebody else saved it since.
        JobFailed
            Not even a file can hold it.
        """
        saved = msgspec.structs.replace(job, version=job.version + 1, saved=now)
        for field in ("work", "result"):
            content = _encoder.encode(getattr(job, field))
            if len(content) > LARGEST_WORK:
                raise JobFailed(_TOO_LARGE[field])
            if len(content) > LARGEST_INLINE:
                file = self.files.put(job, field, content)
                saved = msgspec.structs.replace(saved, **{field: None, f"{field}_file": file})
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
        try:
            self._views.client.put_item(TableName=self._views.name, Item=to_wire(_item(job)), **condition)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "ConditionalCheckFailedException":
                raise
            raise Overtaken(job.id) from error


def _item(job: Job) -> Item:
    key = job_key(job.application, job.id)
    return {
        "pk": key.pk,
        "sk": key.sk,
        "version": job.version,
        "ttl": (job.created + KEPT_DAYS * DAY_MS) // SECOND_MS,
        "document": _encoder.encode(job).decode(),
    }


_TOO_LARGE = {
    "work": "There is more to keep between two steps than a job can hold; ask for a shorter period.",
    "result": "The answer is larger than a job can keep; ask for a shorter period.",
}


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


def resent(jobs: JobStore, queue: JobQueue, job: Job, now: int) -> Job:
    """The job, whose message is sent once more if it may be lost; whoever works on it notices nothing of that.

    The message of a new job may not have been sent, and that could not be stored; or it was put aside in the midst.
    """
    if not job.active or now - job.saved < STALE_MS:
        return job
    try:
        job = jobs.save(job, now)
        submit(jobs, queue, job, now)
    except Overtaken:
        logger.info("a job moved on while its message was about to be sent again", extra={"job": job.id})
    except (ClientError, BotoCoreError):
        logger.exception("a job's message could not be sent again", extra={"job": job.id})
    return jobs.get(job.application, job.id) or job
