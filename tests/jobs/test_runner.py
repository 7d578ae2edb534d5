"""Jobs go on through deadlines, kills, double deliveries and failures, and are over once."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest

from chalicelib import wiring
from chalicelib.jobs.runner import MOST_FAILURES, RECEIVES, SILENCE_MS
from chalicelib.jobs.store import (
    KEPT_DAYS,
    LARGEST_INLINE,
    LARGEST_REQUEST,
    LARGEST_WORK,
    MOST_ACTIVE,
    Job,
    JobStore,
    Overtaken,
    RequestTooLarge,
    TooManyJobs,
)
from chalicelib.keys import job_files_prefix, job_key
from tests.jobs.counting import Bench, Counting
from tests.projection.scene import Scene
from tests.support.clock import SetClock
from tests.support.faults import Killed

NOW = 1_774_656_000_000


@pytest.fixture
def jobs(scene: Scene) -> JobStore:
    return JobStore(wiring.views(), wiring.jobs().files)


@pytest.fixture
def make(scene: Scene, jobs: JobStore) -> Callable[[Counting], Bench]:
    scene.clock.time = NOW

    def made(kind: Counting) -> Bench:
        return Bench(jobs, scene.clock, kind, scene.application)

    return made


Make = Callable[[Counting], Bench]


def test_a_job_is_worked_on_to_its_end(make: Make) -> None:
    kind = Counting()
    bench = make(kind)
    asked = bench.asked(3)
    assert (asked.state, asked.created, asked.done, asked.total) == ("queued", NOW, 0, None)
    assert bench.run(asked)
    job = bench.now(asked)
    assert (job.state, job.done, job.total, job.result) == ("done", 3, 3, {"counted": 3})
    assert (job.started, job.finished, job.by, job.work) == (NOW, NOW, "jané", None)
    assert kind.steps == [0, 1, 2]
    assert not bench.queue.sent


def test_near_the_deadline_the_rest_is_asked_for(make: Make) -> None:
    kind = Counting()
    bench = make(kind)
    asked = bench.asked(3)
    assert bench.run(asked, steps=2)  # its start and one step
    assert (bench.now(asked).state, bench.now(asked).done) == ("running", 1)
    assert [(job.id, delay) for job, delay in bench.queue.sent] == [(asked.id, 0)]
    assert bench.run(asked)
    assert kind.steps == [0, 1, 2]
    assert bench.now(asked).result == {"counted": 3}


def test_a_call_without_time_does_nothing_but_ask_for_another(make: Make) -> None:
    bench = make(Counting())
    asked = bench.asked()
    assert bench.run(asked, steps=0)
    assert bench.now(asked) == asked
    assert len(bench.queue.sent) == 1


def test_a_worker_that_is_killed_is_followed_from_the_last_step_saved(make: Make) -> None:
    def kill_once(at: int) -> None:
        if at == 1 and not killed:
            killed.append(at)
            raise Killed("step")

    killed: list[int] = []
    kind = Counting(kill_once)
    bench = make(kind)
    asked = bench.asked(3)
    with pytest.raises(Killed):
        bench.run(asked)
    assert bench.now(asked).done == 1
    assert bench.run(asked, receives=2)
    assert bench.now(asked).result == {"counted": 3}
    assert kind.steps == [0, 1, 2]


def test_of_two_workers_at_once_one_goes_on(make: Make) -> None:
    # The second delivery comes while the first is within a step, and is through before it.
    def another_delivery(at: int) -> None:
        if at == 1 and not done_with:
            done_with.append(True)
            done_with.append(bench.run(asked, steps=1))

    done_with: list[bool] = []
    kind = Counting(another_delivery)
    bench = make(kind)
    asked = bench.asked(4)
    # Its message stays until it is seen that the job is over.
    assert not bench.run(asked)
    assert done_with == [True, True]
    assert bench.now(asked).done == 2
    assert kind.steps == [0, 1, 1]  # done twice, counted once
    assert bench.run(asked)
    assert kind.steps == [0, 1, 1, 2, 3]
    assert bench.now(asked).result == {"counted": 4}


def test_a_job_that_is_over_stays_as_it_is(make: Make) -> None:
    kind = Counting()
    bench = make(kind)
    asked = bench.asked(2)
    bench.run(asked)
    over = bench.now(asked)
    bench.clock.time = NOW + 1
    assert bench.run(asked)
    assert bench.run(asked, receives=RECEIVES)
    assert bench.jobs.cancel(bench.application, asked.id, bench.clock.now()) == over
    assert bench.now(asked) == over
    assert kind.steps == [0, 1]


def test_a_message_of_a_job_that_expired_is_done_with(make: Make) -> None:
    bench = make(Counting())
    assert bench.runner.run(bench.application, "000000000000001-0000000000", lambda: 300_000)


def test_a_cancelled_job_stops_at_its_next_step(make: Make) -> None:
    def cancel(at: int) -> None:
        if at == 1:
            cancelled.append(bench.jobs.cancel(bench.application, asked.id, NOW + 5))

    cancelled: list[Job | None] = []
    kind = Counting(cancel)
    bench = make(kind)
    asked = bench.asked(5)
    assert bench.run(asked)  # nothing is left to do for the message
    assert cancelled == [bench.now(asked)]
    job = bench.now(asked)
    assert (job.state, job.done, job.finished, job.result, job.work) == ("cancelled", 1, NOW + 5, None, None)
    assert kind.steps == [0, 1]


def test_cancelling_a_job_that_waits_keeps_it_from_starting(make: Make) -> None:
    kind = Counting()
    bench = make(kind)
    asked = bench.asked()
    bench.jobs.cancel(bench.application, asked.id, NOW)
    assert bench.run(asked)
    assert (bench.now(asked).state, bench.now(asked).started, kind.steps) == ("cancelled", None, [])
    assert bench.jobs.cancel(bench.application, "000000000000001-0000000000", NOW) is None


def test_a_job_that_cannot_be_done_says_why(make: Make) -> None:
    bench = make(Counting())
    asked = bench.asked(-1)
    assert bench.run(asked)
    job = bench.now(asked)
    assert (job.state, job.error) == ("failed", "Nobody can count to less than nothing.")
    assert job.finished == NOW


def test_a_step_that_fails_is_tried_again_later_and_later(make: Make) -> None:
    def fail_at_first(at: int) -> None:
        if at == 1 and len(failures) < 4:
            failures.append(at)
            raise TimeoutError("busy")

    failures: list[int] = []
    kind = Counting(fail_at_first)
    bench = make(kind)
    asked = bench.asked(2)
    for _ in range(4):
        assert bench.run(asked)
        assert bench.now(asked).state == "running"
    assert [delay for _, delay in bench.queue.sent] == [15, 30, 60, 120]
    assert bench.run(asked)
    assert (bench.now(asked).state, bench.now(asked).failures, kind.steps) == ("done", 0, [0, 1])


def test_a_step_that_fails_time_after_time_ends_the_job_without_telling_data(make: Make) -> None:
    def fail(at: int) -> None:
        raise KeyError("jane@example.com")

    bench = make(Counting(fail))
    asked = bench.asked()
    for _ in range(MOST_FAILURES):
        assert bench.run(asked)
    job = bench.now(asked)
    assert (job.state, job.error) == ("failed", "The same step failed 5 times, the last time with KeyError.")
    assert len(bench.queue.sent) == MOST_FAILURES - 1


def test_failures_in_between_do_not_add_up(make: Make) -> None:
    def fail_once_at_each(at: int) -> None:
        if at not in failed:
            failed.add(at)
            raise TimeoutError("busy")

    failed: set[int] = set()
    bench = make(Counting(fail_once_at_each))
    asked = bench.asked(MOST_FAILURES + 2)
    for _ in range(MOST_FAILURES + 2):
        assert bench.run(asked)
        assert bench.queue.sent.pop()[1] == 15
    bench.run(asked)
    assert bench.now(asked).state == "done"


def test_a_job_whose_workers_end_without_a_word_is_given_up(make: Make) -> None:
    kind = Counting()
    bench = make(kind)
    asked = bench.asked()
    bench.clock.time = NOW + SILENCE_MS + 1
    assert bench.run(asked, receives=RECEIVES)
    job = bench.now(asked)
    assert (job.state, job.error) == ("failed", "Its worker ended without an answer 4 times.")
    assert kind.steps == []


def test_a_stale_message_does_not_end_a_job_that_somebody_works_on(make: Make) -> None:
    bench = make(Counting())
    asked = bench.asked()
    bench.run(asked, steps=2)
    bench.clock.time = NOW + SILENCE_MS
    assert bench.run(asked, receives=RECEIVES)
    assert bench.now(asked).state == "running"


def test_a_state_too_large_to_keep_ends_the_job(make: Make) -> None:
    class Growing(Counting):
        def step(self, state: object) -> tuple[object, int, int | None, bool]:
            return "x" * LARGEST_WORK, 1, 2, False

    bench = make(Growing())
    asked = bench.asked()
    assert bench.run(asked)
    assert bench.now(asked).error == (
        "There is more to keep between two steps than a job can hold; ask for a shorter period."
    )


# --- what is too large for an item ---

LARGEST_ITEM = 100_000


class Large(Counting):
    """Leaves a state of so many bytes, and answers with as many."""

    def __init__(self, size: int, before: Callable[[int], None] = lambda at: None) -> None:
        super().__init__(before)
        self._size = size

    def step(self, state: Any) -> tuple[Any, int, int | None, bool]:
        state, done, total, finished = super().step(state)
        return {**state, "more": "x" * self._size}, done, total, finished

    def result(self, state: Any) -> Any:
        assert len(state["more"]) == self._size
        return {"counted": state["at"], "more": state["more"]}


def item_size(bench: Bench, job: Job) -> int:
    item = wiring.views().get(job_key(bench.application, job.id))
    assert item is not None
    return len(item["document"])


def files(bench: Bench, job: Job) -> list[str]:
    """The objects that a job left, of states and answers."""
    found = wiring._s3().list_objects_v2(
        Bucket=os.environ["EXPORT_BUCKET"], Prefix=job_files_prefix(bench.application, job.id)
    )
    return [one["Key"].rpartition("/")[2].partition("-")[0] for one in found.get("Contents", ())]


@pytest.mark.parametrize("size", [LARGEST_INLINE, 150_000, 500_000, 5_000_000])
def test_a_large_state_and_answer_are_kept_beside_the_item(size: int, make: Make) -> None:
    # Catches: an answer that no item can hold, whose job hangs until its message is given up, two hours later.
    bench = make(Large(size))
    asked = bench.asked(3)
    assert bench.run(asked, steps=2)
    assert item_size(bench, asked) < LARGEST_ITEM
    assert files(bench, asked) == ["work"]
    assert bench.run(asked)
    job = bench.now(asked)
    assert (job.state, job.done, job.result, job.failures) == ("done", 3, None, 0)
    assert item_size(bench, asked) < LARGEST_ITEM
    assert job.result_file is not None
    assert msgspec.json.decode(bench.jobs.files.get(job.result_file)) == {"counted": 3, "more": "x" * size}
    # Of the states nothing is left.
    assert files(bench, asked) == ["result"]


def test_a_small_answer_needs_no_file(make: Make) -> None:
    bench = make(Large(LARGEST_INLINE - 100))
    asked = bench.asked(2)
    bench.run(asked)
    assert len(bench.now(asked).result["more"]) == LARGEST_INLINE - 100
    assert files(bench, asked) == []


def test_an_answer_that_nothing_can_hold_ends_the_job_at_once(make: Make) -> None:
    class Huge(Counting):
        def result(self, state: Any) -> Any:
            return "x" * LARGEST_WORK

    bench = make(Huge())
    asked = bench.asked(1)
    assert bench.run(asked)
    assert bench.now(asked).error == "The answer is larger than a job can keep; ask for a shorter period."
    assert not bench.queue.sent


def test_a_bucket_that_takes_nothing_fails_the_job_like_a_step(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    # Catches: an error that is raised where the job is saved, after which nothing counts how often it was tried.
    bench = make(Large(150_000))
    asked = bench.asked(3)

    def refuse(*_: object) -> str:
        raise TimeoutError("busy")

    monkeypatch.setattr(bench.jobs.files, "put", refuse)
    for _ in range(MOST_FAILURES):
        assert bench.run(asked)
    job = bench.now(asked)
    assert (job.state, job.error) == ("failed", "The same step failed 5 times, the last time with TimeoutError.")


def test_a_large_state_survives_a_failure_and_is_gone_after_a_cancellation(make: Make) -> None:
    def fail_once(at: int) -> None:
        if at == 1 and not failed:
            failed.append(at)
            raise TimeoutError("busy")

    failed: list[int] = []
    kind = Large(150_000, fail_once)
    bench = make(kind)
    asked = bench.asked(3)
    assert bench.run(asked)
    assert bench.now(asked).failures == 1
    assert bench.run(asked)
    assert (bench.now(asked).state, kind.steps) == ("done", [0, 1, 2])


def test_of_two_workers_with_large_states_one_goes_on(make: Make) -> None:
    def another_delivery(at: int) -> None:
        if at == 1 and not done_with:
            done_with.append(True)
            bench.run(asked, steps=1)

    done_with: list[bool] = []
    kind = Large(150_000, another_delivery)
    bench = make(kind)
    asked = bench.asked(4)
    assert not bench.run(asked)
    assert bench.run(asked)
    assert kind.steps == [0, 1, 1, 2, 3]
    assert bench.now(asked).state == "done"


# --- the store ---


def test_of_many_who_ask_at_once_no_more_get_a_job_than_there_may_be(jobs: JobStore, scene: Scene) -> None:
    # Catches: a count, and then a job: 60 at once made 23.
    def ask(number: int) -> bool:
        try:
            jobs.create(scene.application, "counting", {"to": number}, "jané", NOW)
        except TooManyJobs:
            return False
        return True

    with ThreadPoolExecutor(60) as pool:
        assert sum(pool.map(ask, range(60))) == MOST_ACTIVE
    assert len(jobs.newest(scene.application, 100)) == MOST_ACTIVE


def test_each_job_that_is_over_makes_room_for_one(jobs: JobStore, scene: Scene) -> None:
    made = [jobs.create(scene.application, "counting", {}, "jané", NOW + at) for at in range(MOST_ACTIVE)]
    jobs.save(made[3].ended("done", NOW, result={}), NOW)
    jobs.cancel(scene.application, made[7].id, NOW)
    for _ in range(2):
        jobs.create(scene.application, "counting", {}, "jané", NOW)
    with pytest.raises(TooManyJobs) as full:
        jobs.create(scene.application, "counting", {}, "jané", NOW)
    assert len(full.value.jobs) == MOST_ACTIVE
    # Of another application there may be as many.
    jobs.create(scene.application + "x", "counting", {}, "jané", NOW)


def test_what_a_job_is_asked_for_with_has_a_size(jobs: JobStore, scene: Scene) -> None:
    job = jobs.create(scene.application, "counting", {"of": "x" * (LARGEST_REQUEST - 20)}, "jané", NOW)
    item = wiring.views().get(job_key(scene.application, job.id))
    assert item is not None
    assert len(item["document"]) < LARGEST_ITEM
    with pytest.raises(RequestTooLarge):
        jobs.create(scene.application, "counting", {"of": "x" * LARGEST_REQUEST}, "jané", NOW)


def test_saving_what_somebody_else_saved_since_is_refused(jobs: JobStore, scene: Scene) -> None:
    job = jobs.create(scene.application, "counting", {}, "jané", NOW)
    jobs.save(job, NOW)
    with pytest.raises(Overtaken):
        jobs.save(job, NOW)


def test_jobs_are_listed_newest_first_page_by_page(jobs: JobStore, scene: Scene, clock: SetClock) -> None:
    made = [jobs.create(scene.application, "counting", {"at": at}, "jané", NOW + at) for at in range(5)]
    listed = jobs.newest(scene.application, 2)
    assert [job.params["at"] for job in listed] == [4, 3]
    listed = jobs.newest(scene.application, 2, listed[-1].id)
    assert [job.params["at"] for job in listed] == [2, 1]
    assert jobs.newest(scene.application, 2, listed[-1].id) == [made[0]]
    assert jobs.newest(scene.application + "x", 2) == []


def test_jobs_expire_thirty_days_after_they_were_asked_for(jobs: JobStore, scene: Scene) -> None:
    job = jobs.save(jobs.create(scene.application, "counting", {}, "jané", NOW + 999), NOW + 5_000)
    item = wiring.views().get(job_key(scene.application, job.id))
    assert item is not None
    assert item["ttl"] == NOW // 1000 + KEPT_DAYS * 86_400
