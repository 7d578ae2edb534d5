"""Jobs over the API: asked for, looked at, cancelled; who may."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import boto3
import pytest
import urllib3

from app import app
from chalicelib import functions, wiring
from chalicelib.jobs.store import Job
from local.stack import LocalStack
from tests.api.calls import encoded
from tests.jobs.test_exports import history
from tests.projection.scene import Scene
from tests.reference.shorthand import T
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
