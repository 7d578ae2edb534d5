"""The handlers as Lambda calls them, and the metrics that they write in CloudWatch's embedded format."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import pytest
from chalice.test import Client

from app import app
from local.lambda_events import windowed
from tests.projection.scene import Scene
from tests.support.system import kinesis_event, moment

Json = dict[str, Any]


class Metric(NamedTuple):
    """A metric as CloudWatch knows it: its namespace, its name, and the names of its dimensions."""

    namespace: str
    name: str
    dimensions: frozenset[str]


def emitted(text: str) -> dict[Metric, list[float]]:
    """The values of all metrics in log lines."""
    found: dict[Metric, list[float]] = {}
    for line in lines(text):
        for declared in line.get("_aws", {}).get("CloudWatchMetrics", ()):
            for dimensions in declared["Dimensions"]:
                assert all(line[name] for name in dimensions)
                for metric in declared["Metrics"]:
                    key = Metric(declared["Namespace"], metric["Name"], frozenset(dimensions))
                    found.setdefault(key, []).extend(line[metric["Name"]])
    return found


def lines(text: str) -> Iterator[Json]:
    """Log lines that are JSON objects."""
    for line in text.splitlines():
        if line.startswith("{"):
            yield json.loads(line)


def own(name: str) -> Metric:
    """A metric of the application, with the dimension that all have."""
    return Metric("JourneyAttribution", name, frozenset({"service"}))


class Handlers:
    """Calls the functions of a scene's application, and keeps what they write."""

    def __init__(self, scene: Scene, output: pytest.CaptureFixture[str]) -> None:
        self.scene = scene
        self.text = ""
        self._output = output

    def invoke(self, name: str, payload: Any) -> Any:
        """One invocation; what it wrote is kept also when it raises."""
        try:
            with Client(app) as client:
                return client.lambda_.invoke(name, payload).payload
        finally:
            self.listen()

    def listen(self) -> str:
        """All that was written so far."""
        captured = self._output.readouterr()
        self.text += captured.out + captured.err
        return self.text

    @property
    def metrics(self) -> dict[Metric, list[float]]:
        return emitted(self.listen())

    def value(self, name: str) -> float:
        """What the application's metric of that name adds up to."""
        return sum(self.metrics[own(name)])

    # --- the functions ---

    def ingest(self, records: Sequence[bytes]) -> Json:
        answer: Json = self.invoke("ingest_events", kinesis_event(records))
        return answer

    def project(self) -> Iterable[Json]:
        """Project all that waits, shard by shard."""
        system = self.scene.system
        system.collect()
        answers = []
        while ready := system.ready():
            shard = ready[0]
            batch = system.take(shard, 1000)
            event = windowed(batch, shard, system.stack.facts_stream_arn, moment(), 60)
            answers.append(self.invoke("project_facts", event))
            system.collect()
        return answers

    def sync(self) -> Json:
        return self.deliver_to_sync(self.scene.system.views_stream.read())

    def deliver_to_sync(self, records: Sequence[Json]) -> Json:
        answer: Json = self.invoke("sync_campaigns", {"Records": list(records)})
        return answer

    def expire(self) -> Json:
        with Client(app) as client:
            event = client.events.generate_cw_event("aws.events", "Scheduled Event", {}, [])
        answer: Json = self.invoke("expire_campaigns", event)
        return answer

    def run_jobs(self) -> Json:
        """A message of a job that is not there any more."""
        body = json.dumps({"application": self.scene.application, "job": "gone"})
        record = {"messageId": "1", "body": body, "attributes": {"ApproximateReceiveCount": "1"}}
        answer: Json = self.invoke("run_jobs", {"Records": [record]})
        return answer
