"""``export_events``: files by day that hold each credited event once, whatever happens on the way."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import boto3
import duckdb
import pytest
import urllib3

from chalicelib import wiring
from chalicelib.api.exports import ExportEvents, ExportFiles
from chalicelib.jobs.runner import Runner
from chalicelib.jobs.store import Job
from chalicelib.keys import export_prefix
from local.stack import LocalStack
from tests.jobs.counting import HOUR_MS, Messages
from tests.projection.scene import Scene
from tests.reference.facts import DAY, Record
from tests.reference.records import event, send
from tests.reference.shorthand import APP, HOUR, T, bought, click
from tests.support.faults import Killed
from tests.support.system import clear_wiring

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Json = dict[str, Any]


@pytest.fixture
def s3(scene: Scene, stack: LocalStack) -> S3Client:
    client: S3Client = boto3.client("s3", endpoint_url=stack.endpoint)
    return client


class Exports:
    """An application's exports, in parts of two events."""

    def __init__(self, scene: Scene, stack: LocalStack, s3: S3Client, part_events: int = 2) -> None:
        self.scene = scene
        self.bucket = stack.export_bucket
        self.s3 = s3
        self.queue = Messages()
        self.kind = ExportEvents(
            wiring.settings(), wiring.registry(), wiring.credited_events(), s3, self.bucket, part_events=part_events
        )
        self.runner = Runner(wiring.jobs(), self.queue, {"export_events": lambda: self.kind}, scene.clock)  # type: ignore[arg-type]

    def ask(self, **params: Any) -> Job:
        return wiring.jobs().create(self.scene.application, "export_events", params, "jané", self.scene.clock.now())

    def run(self, job: Job, steps: int = 1_000) -> Job:
        left = iter([HOUR_MS] * steps)
        self.runner.run(job.application, job.id, lambda: next(left, 0))
        found = wiring.jobs().get(job.application, job.id)
        assert found is not None
        return found

    def done(self, **params: Any) -> Json:
        job = self.run(self.ask(**params))
        assert job.state == "done", job.error
        return dict(job.result)

    def keys(self, result: Json) -> list[str]:
        """Names of the objects below the export's folder, without it."""
        found = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=result["prefix"]).get("Contents", [])
        return sorted(one["Key"].removeprefix(result["prefix"]) for one in found)

    def read(self, key: str) -> bytes:
        return self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def lines(self, result: Json) -> list[Json]:
        parts = [name for name in self.keys(result) if name.endswith(".gz")]
        return [
            json.loads(line)
            for one in parts
            for line in gzip.decompress(self.read(result["prefix"] + one)).splitlines()
        ]

    def manifest(self, result: Json) -> Json:
        found: Json = json.loads(self.read(result["manifest"]))
        return found


@pytest.fixture
def exports(scene: Scene, stack: LocalStack, s3: S3Client) -> Exports:
    return Exports(scene, stack, s3)


def history() -> Iterator[Record]:
    """Three days of two journeys: five, none and three events, in two currencies, one of them a refund by its price."""
    yield click("j1", T, "e1")
    yield click("j2", T, "e2")
    for at in range(3):
        yield event(APP, "purchase", T + HOUR + at, client_id="e1", price=0.1, attributes={"currency": "EUR"})
    yield event(APP, "purchase", T + HOUR + 1, client_id="e2", price=5.25)
    yield bought(T + DAY - 1, "e2")
    yield event(APP, "purchase", T + 2 * DAY, client_id="e2", price=-2.5, attributes={"currency": "EUR"})
    yield event(APP, "purchase", T + 2 * DAY + 1, client_id="e1", price=7)
    yield event(APP, "purchase", T + 2 * DAY + 2, client_id="e1", price=1)


def test_an_export_has_a_folder_a_day_and_a_manifest(scene: Scene, exports: Exports) -> None:
    scene.tell(*history())
    result = exports.done()
    assert result["prefix"].startswith(export_prefix(scene.application))
    assert exports.keys(result) == [
        "_manifest.json",
        "day=2026-03-28/part-00000.ndjson.gz",
        "day=2026-03-28/part-00001.ndjson.gz",
        "day=2026-03-28/part-00002.ndjson.gz",
        "day=2026-03-30/part-00000.ndjson.gz",
        "day=2026-03-30/part-00001.ndjson.gz",
    ]
    assert result["files"] == [result["prefix"] + one for one in exports.keys(result)[1:]]
    assert (result["file_count"], result["events"]) == (5, 8)
    # 3 x 0.10 - 2.50, and 5.25 + 7 + 1; one purchase without a price.
    assert result["revenue"] == {"EUR": "-2.20", "USD": "13.25"}
    manifest = exports.manifest(result)
    assert (manifest["events"], manifest["revenue"]) == (8, result["revenue"])
    assert manifest["days"] == [
        {"day": "2026-03-28", "events": 5, "files": 3},
        {"day": "2026-03-30", "events": 3, "files": 2},
    ]
    assert manifest["files"] == result["files"]


def test_a_line_tells_the_event_and_why_it_has_its_credit(scene: Scene, exports: Exports) -> None:
    wiring.registry().set_name(scene.application, "j1", "Spring sale")
    scene.tell(
        send(APP, "e1", "j1", T - HOUR, user_name="jané"),
        click("j1", T - 5),
        event(APP, "purchase", T + 7, user_name="jané", price=12.5, attributes={"currency": "eur"}),
    )
    (line,) = exports.lines(exports.done())
    assert len(line.pop("event_id")) > 10
    (shown,) = scene.page().rows
    assert line == {
        "event_type": "purchase",
        "time": "2026-03-28T00:00:00.007Z",
        "user": "jané",
        "value": "12.50",
        "currency": "EUR",
        "journey_id": "j1",
        "journey_name": "Spring sale",
        "touch": {"time": "2026-03-27T23:59:59.995Z", "kind": "email.click", "channel": "email"},
        "basis": "touch",
        "window_until": "2026-04-03T23:59:59.995Z",
    }
    assert shown.time == T + 7


def test_only_the_period_and_the_journey_asked_for(scene: Scene, exports: Exports) -> None:
    scene.tell(*history())
    assert exports.done(**{"from": T + HOUR + 1, "to": T + 2 * DAY})["events"] == 4
    assert exports.done(journey_id="j2")["events"] == 3
    assert exports.done(**{"to": T + HOUR, "journey_id": "j1"}) | {"prefix": "", "manifest": ""} == {
        "bucket": exports.bucket,
        "prefix": "",
        "manifest": "",
        "files": [],
        "file_count": 0,
        "events": 0,
        "revenue": {},
    }


def test_progress_is_told_step_by_step(scene: Scene, exports: Exports) -> None:
    scene.tell(*history())
    asked = exports.ask()
    assert [(exports.run(asked, 2).done, exports.run(asked, 1).done, exports.run(asked, 1).done)] == [(2, 4, 5)]
    job = exports.run(asked)
    assert (job.done, job.total) == (8, 8)


CALLS = 13
"""What an export of this history writes: its start, five parts, the manifest, and after each of these six the job."""


@pytest.mark.parametrize("killed_at", range(CALLS + 1))
def test_killed_at_any_call_an_export_resumes_and_is_the_same(
    scene: Scene, stack: LocalStack, s3: S3Client, exports: Exports, killed_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.tell(*history())
    whole = exports.lines(exports.done())
    asked = exports.ask()
    calls = iter(range(100))

    def killing(call: Any) -> Any:
        def made(**request: Any) -> Any:
            at = next(calls)
            if at == killed_at:
                raise Killed(str(at))
            answer = call(**request)
            # After a call is before the next one; but for the last.
            if at + 1 == killed_at == CALLS:
                raise Killed(str(at))
            return answer

        return made

    with monkeypatch.context() as patched:
        patched.setattr(s3, "put_object", killing(s3.put_object))
        patched.setattr(wiring.views().client, "put_item", killing(wiring.views().client.put_item))
        with pytest.raises(Killed):
            exports.run(asked)
    job = exports.run(asked)
    assert job.state == "done"
    assert exports.lines(job.result) == whole
    assert (job.result["events"], job.result["revenue"]) == (8, {"EUR": "-2.20", "USD": "13.25"})


def test_a_part_that_another_worker_wrote_counts_as_it_is(scene: Scene, exports: Exports) -> None:
    # Killed between the part and the save; then a late event comes that belongs before the part's second one.
    scene.tell(*history())
    asked = exports.ask()
    job = exports.run(asked, 1)
    exports.kind.step(job.work)
    scene.tell(event(APP, "purchase", T + HOUR, client_id="e2", price=100))
    result = exports.run(asked).result
    lines = exports.lines(result)
    assert result["events"] == len(lines) == 8
    assert len({line["event_id"] for line in lines}) == 8
    assert result["revenue"] == {"EUR": "-2.20", "USD": "13.25"}


def test_views_made_anew_in_the_meantime_end_the_export(scene: Scene, exports: Exports) -> None:
    import msgspec

    scene.tell(*history())
    asked = exports.ask()
    exports.run(asked, 2)
    wiring.settings().change(scene.application, lambda old: msgspec.structs.replace(old, generation=1))
    job = exports.run(asked)
    assert (job.state, job.error) == (
        "failed",
        "The views were made anew in the meantime; ask for the export again.",
    )


def test_another_application_s_events_are_not_exported(scene: Scene, exports: Exports) -> None:
    scene.tell(*history())
    other = wiring.jobs().create(scene.application + "x", "export_events", {}, "jané", T)
    assert exports.run(other).result["events"] == 0


def test_duckdb_reads_an_export_and_adds_up_what_the_api_says(scene: Scene, exports: Exports, tmp_path: Path) -> None:
    scene.tell(*history())
    result = exports.done()
    for name in exports.keys(result):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(exports.read(result["prefix"] + name))
    query = f"""
        SELECT CAST(day AS VARCHAR), journey_id, count(*),
               sum(CAST(value AS DECIMAL(38, 18))) FILTER (currency = 'EUR'),
               min(CAST(time AS TIMESTAMPTZ)) >= min(CAST(touch.time AS TIMESTAMPTZ))
        FROM read_json('{tmp_path}/*/*.ndjson.gz', format = 'newline_delimited', hive_partitioning = true)
        GROUP BY ALL ORDER BY ALL
    """  # noqa: S608 - the test's own folder
    found = duckdb.connect().execute(query).fetchall()
    assert found == [
        ("2026-03-28", "j1", 3, Decimal("0.3"), True),
        ("2026-03-28", "j2", 2, None, True),
        ("2026-03-30", "j1", 2, None, True),
        ("2026-03-30", "j2", 1, Decimal("-2.5"), True),
    ]
    counted = Counter({journey: 0 for _, journey, *_ in found})
    for _, journey, number, *_ in found:
        counted[journey] += number
    assert counted == Counter(row.journey for row in scene.page().rows)


def test_links_open_the_files_for_anybody(scene: Scene, exports: Exports) -> None:
    scene.tell(*history())
    result = exports.done()
    linked = ExportFiles(exports.s3, exports.bucket).with_links(result)
    assert {name: linked[name] for name in result} == result
    links = linked["links"]
    assert links["expire_in_seconds"] == 3600
    assert json.loads(urllib3.request("GET", links["manifest"]).data)["events"] == 8
    assert len(links["files"]) == 5
    assert len(gzip.decompress(urllib3.request("GET", links["files"][4]).data).splitlines()) == 1


def test_links_lead_to_the_bucket_s_own_region(monkeypatch: pytest.MonkeyPatch) -> None:
    # The global endpoint answers with a redirect, and the signature is not valid where that leads.
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("EXPORT_BUCKET", "exports")
    clear_wiring()
    links = wiring.export_files().with_links({"manifest": "exports/a%20b/1/_manifest.json", "files": []})["links"]
    clear_wiring()
    address = urlsplit(links["manifest"])
    assert address.netloc == "exports.s3.eu-central-1.amazonaws.com"
    assert address.path == "/exports/a%2520b/1/_manifest.json"
    query = parse_qs(address.query)
    assert (query["X-Amz-Algorithm"], query["X-Amz-Expires"]) == (["AWS4-HMAC-SHA256"], ["3600"])


def test_whoever_erases_a_user_is_told_where_exports_lie(scene: Scene, exports: Exports) -> None:
    files = ExportFiles(exports.s3, exports.bucket)
    scene.tell(*history())
    assert files.files_naming(scene.application, "e1") == []
    # One application's name begins another's.
    exports.run(wiring.jobs().create(scene.application + "x", "export_events", {}, "jané", T))
    first, second = exports.done(), exports.ask()
    exports.run(second, 2)  # not finished, but there
    assert set(files.files_naming(scene.application, "e1")) == {
        f"s3://{exports.bucket}/{first['prefix']}",
        f"s3://{exports.bucket}/{export_prefix(scene.application, second.id)}",
    }
