"""A job on a running ``serve``: asked for over the API, taken from the queue by a worker, its files in the bucket."""

from __future__ import annotations

import gzip
import json

from tests.e2e.support import MINUTE, Answer, Served, eventually, now
from tests.reference.records import email_click, event


def ask(served: Served, jobs: str) -> Answer:
    """Ask for an export of everything, as a marketer."""
    headers = {"Authorization": f"Bearer {served.ready['tokens']['marketer']}", "Content-Type": "application/json"}
    answer = served.call("POST", jobs, headers, json.dumps({"kind": "export_events"}).encode())
    assert answer.status == 202, answer
    return answer


def test_an_export_is_asked_for_done_and_in_the_bucket(served: Served) -> None:
    app, start = "exported", now() - 10 * MINUTE
    served.put(
        [
            email_click(app, "e1", "j1", start),
            *(event(app, "purchase", start + at, client_id="e1", price=1.25) for at in range(1, 4)),
        ]
    )
    served.settle()
    jobs = f"/applications/{app}/jobs"
    asked = ask(served, jobs)
    path = f"{jobs}/{asked.body['job_id']}"
    eventually(lambda: served.get(path).body["state"], "done")
    result = served.get(path).body["result"]
    assert (result["events"], result["revenue"]) == (3, {"USD": "3.75"})
    assert result["bucket"] == served.ready["exports_bucket"]
    s3 = served.client("s3")
    lines = [
        json.loads(line)
        for key in result["files"]
        for line in gzip.decompress(s3.get_object(Bucket=result["bucket"], Key=key)["Body"].read()).splitlines()
    ]
    for line in lines:
        del line["event_id"], line["window_until"]
    assert lines[::-1] == served.events(app)


def test_a_message_that_is_no_task_holds_up_no_job(served: Served) -> None:
    sqs = served.client("sqs")
    sqs.send_message(QueueUrl=served.ready["jobs_queue"], MessageBody="not a task")
    jobs = "/applications/nothing/jobs"
    asked = ask(served, jobs)
    eventually(lambda: served.get(f"{jobs}/{asked.body['job_id']}").body["state"], "done")
