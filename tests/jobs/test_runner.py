"""Jobs go on through deadlines, kills, double deliveries and failures, and are over once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chalicelib import wiring
from chalicelib.jobs.runner import MOST_FAILURES, RECEIVES, SILENCE_MS
from chalicelib.jobs.store import KEPT_DAYS, LARGEST_WORK, Job, JobStore, Overtaken
from chalicelib.keys import job_key
from tests.jobs.counting import Bench, Counting
from tests.projection.scene import Scene
from tests.support.clock import SetClock
from tests.support.faults import Killed

NOW = 1_774_656_000_000


@pytest.fixture
def jobs(scene: Scene) -> JobStore:
    return JobStore(wiring.views())


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


# --- the store ---


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
