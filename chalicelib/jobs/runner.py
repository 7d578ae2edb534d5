"""Working on a job, step by step, until it is over or the function's time is nearly up; then another call goes on.

A message of the queue stays there until the work that it asks for is over or another message asks for the rest, so a
worker that is killed at any point is followed by another, from the last step saved. Two workers at once both do the
next step, which may be done twice; one of them saves it and goes on, the other stops.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from chalicelib.jobs.store import Job, JobFailed, JobQueue, JobStore, Kinds, Overtaken
from chalicelib.observability import logger
from chalicelib.times import Clock

RESERVE_MS = 20_000
"""What a step may take at worst: none is begun when less of the function's time is left."""

RECEIVES = 5
"""How often the queue hands out a message before it puts it aside (``maxReceiveCount``)."""

SILENCE_MS = 300_000
"""Nobody works on a job that was not saved for so long: the function's timeout."""

MOST_FAILURES = 5
"""How often a step may fail in a row."""

FIRST_WAIT_S = 15
"""After a step's first failure; then twice as long each time."""


class Runner:
    """Goes on with jobs."""

    def __init__(self, jobs: JobStore, queue: JobQueue, kinds: Kinds, clock: Clock) -> None:
        self._jobs = jobs
        self._queue = queue
        self._kinds = kinds
        self._clock = clock

    def run(self, application: str, job_id: str, remaining_ms: Callable[[], int], receives: int = 1) -> bool:
        """Go on with a job; whether the message that asked for it is done with.

        Parameters
        ----------
        remaining_ms
            Tells how much of the function's time is left.
        receives
            How often the queue has handed out the message, this time included.
        """
        try:
            job = self._jobs.get(application, job_id)
            if job and job.active and receives >= RECEIVES:
                self._give_up(job)
                return True
            while job and job.active:
                if remaining_ms() < RESERVE_MS:
                    self._queue.send(job)
                    return True
                job = self._advanced(job)
                if job.failures:
                    self._queue.send(job, FIRST_WAIT_S * 2 ** (job.failures - 1))
                    return True
        except Overtaken:
            # The message stays, for the case that the other worker's was this very one and that worker is killed.
            left = self._jobs.get(application, job_id)
            return left is None or not left.active
        return True

    def _advanced(self, job: Job) -> Job:
        """The job after its next step, saved."""
        try:
            saved = self._jobs.save(self._moved(job), self._clock.now())
        except Overtaken:
            raise
        except JobFailed as reason:
            saved = self._jobs.save(job.ended("failed", self._clock.now(), error=str(reason)), self._clock.now())
        except Exception as error:  # noqa: BLE001 - logged, and at the fifth time told
            # A busy table or bucket, or a mistake in the code: only trying again tells. That goes for saving, too: a
            # state that cannot be stored ends the job like a step that fails.
            logger.exception("a job's step failed", extra={"job": job.id, "kind": job.kind})
            saved = self._jobs.save(self._after_failure(job, error), self._clock.now())
        if job.work_file and job.work_file != saved.work_file:
            self._jobs.files.delete(job.work_file)
        return saved

    def _moved(self, job: Job) -> Job:
        kind = self._kinds[job.kind]()
        now = self._clock.now()
        if job.state == "queued":
            work = kind.start({**job.params, "application": job.application, "job": job.id})
            return msgspec.structs.replace(job, state="running", started=now, work=work, failures=0)
        work, done, total, finished = kind.step(self._jobs.work_of(job))
        moved = msgspec.structs.replace(job, work=work, work_file=None, done=done, total=total, failures=0)
        return moved.ended("done", now, result=kind.result(work)) if finished else moved

    def _after_failure(self, job: Job, error: Exception) -> Job:
        failed = msgspec.structs.replace(job, failures=job.failures + 1)
        if failed.failures < MOST_FAILURES:
            return failed
        # The error's text may hold a customer's data; its kind does not, and the log has the rest.
        reason = f"The same step failed {MOST_FAILURES} times, the last time with {type(error).__name__}."
        return msgspec.structs.replace(failed, failures=0).ended("failed", self._clock.now(), error=reason)

    def _give_up(self, job: Job) -> None:
        """End a job whose workers end without a word, unless somebody is at it."""
        now = self._clock.now()
        if now - job.saved > SILENCE_MS:
            reason = f"Its worker ended without an answer {RECEIVES - 1} times."
            self._jobs.save(job.ended("failed", now, error=reason), now)
