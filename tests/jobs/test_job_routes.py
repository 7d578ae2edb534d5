"""Jobs over the API: asked for, looked at, cancelled; who may."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import boto3
import pytest
import urllib3
from botocore.exceptions import EndpointConnectionError

from app import app
from chalicelib import functions, wiring
from chalicelib.api.job_routes import LARGEST_RESULT
from chalicelib.jobs.store import LARGEST_INLINE, MOST_ACTIVE, STALE_MS, Job
from local.stack import LocalStack
from tests.api.calls import encoded
from tests.jobs.test_exports import history
from tests.projection.scene import Scene
from tests.reference.shorthand import T
from tests.support.faults import Killed
from tests.support.tokens import ALL, bearer, trusting

Json = dict[str, Any]
NOW = "2026-03-28T00:00:00.000Z"


class Jobs:
    """The API's jobs of one application, and a worker that takes from the queue what is in it."""

    def __init__(self, scene: Scene, stack: LocalStack) -> None:
        self.application = scene.application
        self.path = f"/applications/{encoded(scene.application)}/jobs"
        self._sqs = boto3.client("sqs", endpoint_url=stack.endpoint)
        self._queue = stack.jobs_queue

    def call(
        self, method: str, below: str = "", body: object = None, groups: Sequence[str] = ("marketers", ALL)
    ) -> tuple[int, Json, dict[str, str]]:
        from chalice.test import Client

        headers = bearer(*groups) | ({} if body is None else {"Content-Type": "application/json"})
        with trusting(), Client(app) as client:
            raw = b"" if body is None else json.dumps(body).encode()
            answer = client.http.request(method, self.path + below, headers=headers, body=raw)
            return answer.status_code, answer.json_body, dict(answer.headers)

    def asked(self, **body: object) -> Json:
        status, job, _ = self.call("POST", "", {"kind": "export_events", **body})
        assert status == 202, job
        return job

    def work(self) -> None:
        """Deliver what is in the queue."""
        while messages := self._sqs.receive_message(
            QueueUrl=self._queue, MessageSystemAttributeNames=["ApproximateReceiveCount"]
        ).get("Messages"):
            for one in messages:
                record = {"messageId": one["MessageId"], "body": one["Body"], "attributes": one["Attributes"]}
                assert functions.run_jobs({"Records": [record]}) == {"batchItemFailures": []}
                self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=one["ReceiptHandle"])

    def stored(self, job: Json) -> Job:
        found = wiring.jobs().get(self.application, job["job_id"])
        assert found is not None
        return found


@pytest.fixture
def jobs(scene: Scene, stack: LocalStack) -> Jobs:
    scene.clock.time = T
    made = Jobs(scene, stack)
    made.work()  # what other tests left in the queue
    return made


def test_a_job_is_asked_for_worked_on_and_answers(scene: Scene, jobs: Jobs) -> None:
    scene.tell(*history())
    scene.clock.time = T
    body = {"kind": "export_events", "from": "2026-03-28", "to": "2026-03-29T02:00:00+02:00", "journey_id": "j1"}
    status, job, headers = jobs.call("POST", "", body)
    assert status == 202
    assert headers["Location"] == f"jobs/{job['job_id']}"
    assert job == {
        "job_id": job["job_id"],
        "kind": "export_events",
        "state": "queued",
        "progress": {"done": 0, "total": None},
        "created": NOW,
        "started": None,
        "finished": None,
        "requested_by": job["requested_by"],
        "params": {"from": "2026-03-28T00:00:00.000Z", "to": "2026-03-29T00:00:00.000Z", "journey_id": "j1"},
        "result": None,
        "error": None,
    }
    assert jobs.call("GET", f"/{job['job_id']}")[:2] == (200, job)
    jobs.work()
    status, done, _ = jobs.call("GET", f"/{job['job_id']}")
    assert (status, done["state"], done["progress"]) == (200, "done", {"done": 3, "total": 3})
    assert (done["started"], done["finished"]) == (NOW, NOW)
    assert (done["result"]["events"], done["result"]["revenue"]) == (3, {"EUR": "0.30"})
    manifest = json.loads(urllib3.request("GET", done["result"]["links"]["manifest"]).data)
    assert (manifest["events"], manifest["journey_id"]) == (3, "j1")
    # A viewer sees the job, not the addresses that open its files.
    _, seen, _ = jobs.call("GET", f"/{job['job_id']}", groups=("viewers", ALL))
    assert seen["result"] == {name: value for name, value in done["result"].items() if name != "links"}
    _, listed, _ = jobs.call("GET")
    assert listed == {"items": [seen], "next_cursor": None}


def test_who_asked_is_told(jobs: Jobs) -> None:
    assert jobs.asked()["requested_by"] == "subject-1"


def test_jobs_are_listed_newest_first_page_by_page(scene: Scene, jobs: Jobs) -> None:
    made = []
    for at in range(5):
        scene.clock.time = T + at
        made.append(jobs.asked()["job_id"])
    listed: list[str] = []
    query = "?limit=2"
    while True:
        status, page, _ = jobs.call("GET", query)
        assert status == 200
        listed += [one["job_id"] for one in page["items"]]
        if page["next_cursor"] is None:
            break
        assert len(page["items"]) == 2
        query = f"?limit=2&cursor={page['next_cursor']}"
    assert listed == made[::-1]


def test_a_job_can_be_cancelled_before_it_is_over(jobs: Jobs) -> None:
    job = jobs.asked()
    status, cancelled, _ = jobs.call("DELETE", f"/{job['job_id']}")
    assert (status, cancelled["state"], cancelled["finished"]) == (200, "cancelled", NOW)
    jobs.work()
    assert jobs.call("GET", f"/{job['job_id']}")[1] == cancelled
    assert jobs.call("DELETE", f"/{job['job_id']}")[:2] == (200, cancelled)


@pytest.mark.parametrize("job", ["000000000000001-0123456789", "x", "..", "%2F", "%00", "a" * 2000, "%F0%9F%98%80"])
def test_a_job_that_is_not_there_is_a_404(jobs: Jobs, job: str) -> None:
    for method in ("GET", "DELETE"):
        status, problem, _ = jobs.call(method, f"/{job}")
        assert (status, problem["status"]) == (404, 404)
        assert problem["detail"] == "There is no such job; jobs are kept for 30 days."


def test_another_application_s_job_is_not_there(scene: Scene, jobs: Jobs, stack: LocalStack) -> None:
    job = jobs.asked()
    jobs.path = jobs.path.replace("/jobs", "x/jobs")
    assert jobs.call("GET", f"/{job['job_id']}")[0] == 404
    assert jobs.call("GET")[1] == {"items": [], "next_cursor": None}


def test_a_viewer_may_look_but_neither_ask_nor_cancel(jobs: Jobs) -> None:
    job = jobs.asked()
    viewer = ("viewers", ALL)
    assert jobs.call("GET", groups=viewer)[0] == 200
    assert jobs.call("POST", "", {"kind": "export_events"}, viewer)[0] == 403
    assert jobs.call("DELETE", f"/{job['job_id']}", groups=viewer)[0] == 403
    assert jobs.stored(job).state == "queued"


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"kind": "import_events"}, "kind"),
        ({}, "kind"),
        ([], "object"),
        ({"kind": "export_events", "from": "yesterday"}, "from"),
        ({"kind": "export_events", "from": 5}, "from"),
        ({"kind": "export_events", "from": "2026-03-02", "to": "2026-03-02"}, "to must be later than from"),
        ({"kind": "export_events", "journey_id": ""}, "journey_id"),
        ({"kind": "export_events", "journey": "j1"}, "journey"),
        ({"kind": "compare", "half_life_days": 1000}, "half_life_days"),
        ({"kind": "preview"}, "changes"),
        ({"kind": "preview", "changes": {"interactions": {"sms.click": {"counts": True}}}}, "interactions"),
    ],
)
def test_a_job_that_is_asked_for_wrongly_is_a_400(jobs: Jobs, body: object, word: str) -> None:
    status, problem, _ = jobs.call("POST", "", body)
    assert status == 400, problem
    assert word in problem["detail"]
    assert problem["detail"].endswith(".")
    assert jobs.call("GET")[1]["items"] == []


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "compare", "event_type": "purchase", "models": ["linear", "last_touch"], "half_life_days": "3.5"},
        {"kind": "compare", "from": "2026-03-01T00:00:00.000Z", "to": "2026-04-01T00:00:00.000Z"},
        {"kind": "preview", "changes": {"lookback_window_days": 3}, "from": "2026-03-01", "to": "2026-04-01"},
    ],
)
def test_every_kind_of_job_is_done(scene: Scene, jobs: Jobs, body: Json) -> None:
    scene.tell(*history())
    scene.clock.time = T
    status, job, _ = jobs.call("POST", "", body)
    assert status == 202, job
    assert {name: value for name, value in body.items() if name != "kind"}.items() <= job["params"].items()
    jobs.work()
    _, done, _ = jobs.call("GET", f"/{job['job_id']}")
    assert (done["state"], done["error"]) == ("done", None)
    assert done["result"]


def test_an_application_has_so_many_jobs_at_a_time(jobs: Jobs) -> None:
    for _ in range(20):
        jobs.asked()
    status, problem, headers = jobs.call("POST", "", {"kind": "export_events"})
    assert (status, headers["Retry-After"]) == (429, "60")
    assert problem["detail"] == "20 jobs of this application are not over yet; wait for one."
    jobs.work()
    jobs.asked()


def test_a_job_that_cannot_be_queued_does_not_wait_for_ever(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise TimeoutError("busy")

    monkeypatch.setattr(wiring.job_queue(), "send", refuse)
    assert jobs.call("POST", "", {"kind": "export_events"})[0] == 500
    (job,) = jobs.call("GET")[1]["items"]
    assert (job["state"], job["error"]) == ("failed", "The job could not be queued; ask for it again.")


# --- a message that was lost ---


def lost(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> Json:
    """A job whose message could not be sent, which could not be stored either: the caller was killed in between."""

    def killed(*_: object, **__: object) -> None:
        raise Killed("between the job and its message")

    with monkeypatch.context() as patch:
        patch.setattr(wiring.job_queue(), "send", killed)
        with pytest.raises(Killed):
            jobs.asked()
    found: Json = jobs.call("GET")[1]["items"][0]
    return found


def test_who_looks_at_a_job_whose_message_was_lost_has_it_sent_again(
    scene: Scene, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = lost(jobs, monkeypatch)
    scene.clock.time = T + STALE_MS - 1
    jobs.call("GET", f"/{job['job_id']}")
    jobs.work()
    assert jobs.stored(job).state == "queued"
    scene.clock.time = T + STALE_MS
    assert jobs.call("GET", f"/{job['job_id']}", groups=("viewers", ALL))[0] == 200
    # Once: whoever looks again has to wait again.
    before = jobs.stored(job)
    jobs.call("GET", f"/{job['job_id']}")
    assert jobs.stored(job) == before
    jobs.work()
    assert jobs.stored(job).state == "done"


def test_jobs_whose_messages_were_lost_do_not_lock_an_application_out(
    scene: Scene, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    for at in range(MOST_ACTIVE):
        scene.clock.time = T + at
        lost(jobs, monkeypatch)
    assert jobs.call("POST", "", {"kind": "export_events"})[0] == 429
    scene.clock.time = T + STALE_MS + MOST_ACTIVE
    assert jobs.call("POST", "", {"kind": "export_events"})[0] == 429
    jobs.work()
    assert {one["state"] for one in jobs.call("GET")[1]["items"]} == {"done"}
    jobs.asked()


def test_jobs_that_cannot_be_sent_again_make_room(scene: Scene, jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise EndpointConnectionError(endpoint_url="http://queue")

    for at in range(MOST_ACTIVE):
        scene.clock.time = T + at
        lost(jobs, monkeypatch)
    scene.clock.time = T + STALE_MS + MOST_ACTIVE
    with monkeypatch.context() as patch:
        patch.setattr(wiring.job_queue(), "send", refuse)
        assert jobs.call("POST", "", {"kind": "export_events"})[0] == 429
        assert {one["state"] for one in jobs.call("GET")[1]["items"]} == {"failed"}
        # The queue still takes nothing, and that locks nobody out.
        for _ in range(MOST_ACTIVE + 1):
            assert jobs.call("POST", "", {"kind": "export_events"})[0] == 500
    jobs.asked()


# --- large answers ---


def done_with(jobs: Jobs, result: Json) -> Json:
    status, job, _ = jobs.call("POST", "", {"kind": "compare"})
    assert status == 202, job
    stored = jobs.stored(job)
    wiring.jobs().save(stored.ended("done", T, result=result), T)
    return job


@pytest.mark.parametrize("size", [LARGEST_INLINE // 2, 150_000, 500_000, LARGEST_RESULT - 100])
def test_an_answer_of_up_to_4_mb_is_in_the_job(size: int, jobs: Jobs) -> None:
    job = done_with(jobs, {"more": "x" * size})
    status, found, _ = jobs.call("GET", f"/{job['job_id']}")
    assert (status, found["result"]) == (200, {"more": "x" * size})
    assert "result_file" not in found
    (listed,) = jobs.call("GET")[1]["items"]
    assert listed["result"] == (found["result"] if size < LARGEST_INLINE else None)


def test_a_larger_answer_is_in_a_file(jobs: Jobs) -> None:
    result = {"more": "x" * (LARGEST_RESULT + 1)}
    job = done_with(jobs, result)
    status, found, _ = jobs.call("GET", f"/{job['job_id']}", groups=("viewers", ALL))
    assert (status, found["state"], found["result"]) == (200, "done", None)
    file = found["result_file"]
    assert (file["bytes"], file["expires_in_seconds"]) == (len(json.dumps(result, separators=(",", ":"))), 3_600)
    assert json.loads(urllib3.request("GET", file["link"]).data) == result


def test_a_list_of_jobs_ends_before_an_answer_is_too_large(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chalicelib.api.job_routes.LARGEST_PAGE", 50_000)
    made = [done_with(jobs, {"more": "x" * (LARGEST_INLINE - 100)})["job_id"] for _ in range(10)]
    listed: list[str] = []
    query = "?limit=100"
    while query:
        page = jobs.call("GET", query)[1]
        assert len(page["items"]) <= 4
        listed += [one["job_id"] for one in page["items"]]
        query = f"?limit=100&cursor={page['next_cursor']}" if page["next_cursor"] else ""
    assert sorted(listed) == sorted(made)


def test_a_job_that_is_asked_for_with_too_much_is_refused(jobs: Jobs) -> None:
    agents = [f"{number:03d}{'x' * 250}" for number in range(200)]
    body = {"kind": "preview", "changes": {"machine_opens": {"ignore": True, "user_agents": agents}}}
    status, problem, _ = jobs.call("POST", "", body)
    assert (status, problem["detail"]) == (413, "A job may be asked for with 40 kB.")
    assert jobs.call("GET")[1]["items"] == []
