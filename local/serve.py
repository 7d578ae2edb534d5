"""The whole system in one process and one child: MiniStack, the stack, the API, the pumps and the fixture server."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from boto3.session import Session
from botocore.config import Config
from chalice.config import Config as ChaliceConfig

from local.application import FUNCTION_NAMES, Application, forget_parts, load_application
from local.environment import DEFAULT_REGION, isolated, process_environment
from local.filters import record_filter
from local.functions import FunctionConfig, register_functions
from local.mappings import event_source_mapping, messages_at_once
from local.marketers import demo_tokens
from local.ministack import MiniStack, running_ministack
from local.pinpoint_fixture import FixtureServer, Names, running_fixture_server
from local.ports import check_ports
from local.pumps import Function, Pump, StreamPump, TimerPump, wait_until_idle
from local.queue_pump import QueuePump
from local.rest_api import STAGE, chalice_config, running_rest_api
from local.shard_reader import Batching
from local.stack import LocalStack, connect, ensure_stack
from local.state_file import published
from local.streams import ChangeStream, KinesisStream, Stream

logger = logging.getLogger(__name__)

STREAM_FUNCTIONS = ("ingest_events", "project_facts", "sync_campaigns")
POSITIONS = "positions.json"
POSITIONS_EVERY_S = 1.0
DRAINED_WITHIN_S = 60.0
JOB_CALL_S = 30.0
"""How long a call of ``run_jobs`` may take here: the end of a system waits for the one in hand."""


class System(NamedTuple):
    """The running system."""

    api: str
    stack: LocalStack
    environment: dict[str, str]
    function_names: dict[str, str]
    fixture: FixtureServer
    ministack: MiniStack
    stream_pumps: Sequence[StreamPump]
    """In the order in which records flow: ingest, project, sync."""
    tokens: Mapping[str, str]
    """Access tokens of the API, by who bears them: viewer, marketer, admin."""

    @property
    def session(self) -> Session:
        """For clients of the emulated AWS; the environment already leads them there."""
        return connect(self.stack.endpoint, self.stack.region)

    def check(self) -> None:
        """Raise `MiniStackFailed` if the emulated AWS is gone."""
        self.ministack.check()

    def wait_until_idle(self, timeout_s: float = 60.0) -> None:
        """Wait until all that is in the stream is ingested, projected and synced. Raises TimeoutError."""
        wait_until_idle(self.stream_pumps, timeout_s)

    def describe(self) -> dict[str, object]:
        """What ``serve`` prints when it is ready."""
        return {
            "ready": True,
            "api": self.api,
            "aws": self.stack.endpoint,
            "stream": self.stack.event_stream,
            "tables": {"facts": self.stack.facts_table, "views": self.stack.views_table},
            "user_pool_id": self.stack.user_pool_id,
            "marketers_pool_id": self.stack.marketers_pool_id,
            "marketers_client_id": self.stack.marketers_client_id,
            "tokens": dict(self.tokens),
            "region": self.stack.region,
            "function_names": self.function_names,
            "quarantine_bucket": self.stack.quarantine_bucket,
            "exports_bucket": self.stack.export_bucket,
            "jobs_queue": self.stack.jobs_queue,
            "queues": dict(self.stack.queues),
        }


@contextmanager
def running_system(
    *,
    api_port: int = 0,
    aws_port: int = 0,
    shards: int = 2,
    data: Path | None = None,
    journeys: Names | None = None,
    expire_every_s: float = 5.0,
    log_level: str = "WARNING",
    region: str = DEFAULT_REGION,
) -> Iterator[System]:
    """The whole system for the time of the block, in the environment of this process.

    One at a time in a process: the application lives in it.

    Parameters
    ----------
    api_port, aws_port
        0 picks a free one.
    shards
        Of the event stream; a kept one keeps its own.
    data
        Directory that keeps everything, as it changes and when the block ends; otherwise nothing outlives it.
    journeys
        What the fixture server knows; more may be added while it runs.

    Raises
    ------
    MiniStackFailed, StackFailed, PortTaken, NotServing, OSError
        It could not start.
    """
    check_ports({"--api-port": api_port, "--aws-port": aws_port})
    with ExitStack() as opened:
        opened.enter_context(process_environment(isolated(os.environ, region)))
        ministack = opened.enter_context(running_ministack(aws_port, data, region))
        stack = ensure_stack(ministack.endpoint, region, shards)
        fixture = opened.enter_context(running_fixture_server(journeys))
        config = chalice_config()
        environment = {**config.environment_variables, **stack.environment(fixture.endpoint, log_level)}
        os.environ.update(environment)
        application = load_application()
        opened.callback(forget_parts)
        session = connect(stack.endpoint, region)
        configs = [_function_config(config, name) for name in FUNCTION_NAMES]
        function_names = register_functions(
            session.client("lambda", endpoint_url=stack.endpoint), configs, environment, f"{config.app_name}-{STAGE}"
        )
        api = opened.enter_context(running_rest_api(application.chalice, config, api_port))
        functions = {
            one.name: Function(function_names[one.name], application.handlers[one.name], region, one.timeout_s)
            for one in configs
        }
        pumps = _stream_pumps(stack, session, application, functions, data)
        timer = TimerPump(functions["expire_campaigns"], expire_every_s, region)
        tokens = demo_tokens(stack)
        ministack.begin_journal()
        opened.enter_context(
            _running_pumps(pumps, [timer, _jobs_pump(stack, session, application, functions)], ministack, data)
        )
        opened.enter_context(published(data, {**environment, **_of_the_shell(api, tokens)}))
        yield System(api, stack, environment, function_names, fixture, ministack, pumps, tokens)


def _of_the_shell(api: str, tokens: Mapping[str, str]) -> dict[str, str]:
    """What the application itself is not given: the API's address, and each user's token."""
    by_user = {f"API_TOKEN_{name.upper()}": token for name, token in tokens.items()}
    return {"API_URL": api, "API_TOKEN": tokens["admin"], **by_user}


def _function_config(config: ChaliceConfig, name: str) -> FunctionConfig:
    scoped = config.scope(STAGE, name)
    return FunctionConfig(name, scoped.lambda_memory_size or 128, scoped.lambda_timeout or 60)


def _stream_pumps(
    stack: LocalStack, session: Session, application: Application, functions: dict[str, Function], data: Path | None
) -> list[StreamPump]:
    # The pumps try again by themselves; long retries below them would only delay the end of a system without MiniStack.
    config = Config(connect_timeout=2, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 2})
    kinesis = session.client("kinesis", endpoint_url=stack.endpoint, config=config)
    changes = session.client("dynamodbstreams", endpoint_url=stack.endpoint, config=config)
    sqs = session.client("sqs", endpoint_url=stack.endpoint, config=config)
    mappings = {name: event_source_mapping(application.chalice, name) for name in STREAM_FUNCTIONS}
    streams: dict[str, Stream] = {
        "ingest_events": KinesisStream(kinesis, stack.event_stream_arn),
        "project_facts": ChangeStream(changes, stack.facts_stream_arn, mappings["project_facts"].window_s),
        "sync_campaigns": ChangeStream(changes, stack.views_stream_arn, mappings["sync_campaigns"].window_s),
    }
    positions = _load_positions(data)
    return [
        StreamPump(
            stream,
            functions[name],
            sqs,
            stack.queues[name],
            mappings[name].policy,
            Batching(size=mappings[name].batch_size),
            record_filter(mappings[name].filters),
            positions.get(name),
        )
        for name, stream in streams.items()
    ]


def _jobs_pump(
    stack: LocalStack, session: Session, application: Application, functions: dict[str, Function]
) -> QueuePump:
    sqs = session.client("sqs", endpoint_url=stack.endpoint)
    function = functions["run_jobs"].within(JOB_CALL_S)
    batch_size = messages_at_once(application.chalice, "run_jobs")
    return QueuePump(sqs, stack.jobs_queue, stack.jobs_queue_arn, function, batch_size)


@contextmanager
def _running_pumps(
    pumps: Sequence[StreamPump], others: Sequence[Pump], ministack: MiniStack, data: Path | None
) -> Iterator[None]:
    """Run the pumps for the time of the block, and end them so that kept data are whole.

    With kept data everything ingested is projected before the end, so that no change record needs to be kept; records
    that are not ingested yet stay in the kept stream.
    """
    ingest, *followers = pumps
    journaled = [pump for pump in pumps if pump.name != "sync_campaigns"]
    keeper = [] if data is None else [PositionsKeeper(data / POSITIONS, journaled)]
    everything: list[Pump] = [*others, *pumps, *keeper]
    for pump in everything:
        pump.start()
    try:
        yield
    finally:
        for pump in others:
            pump.stop()
        ingest.stop()
        drained = False
        if data is not None and ministack.process.poll() is None:
            try:
                wait_until_idle(followers, DRAINED_WITHIN_S)
                drained = True
            except TimeoutError as error:
                logger.warning("some facts are projected only after the next start: %s", error)
        for pump in [*followers, *keeper]:
            pump.stop()
        if drained:
            ministack.forget_changes()


class PositionsKeeper(Pump):
    """Writes where pumps are into a file, for as long as it runs and at its end.

    Records after a position may have been delivered: to deliver them again changes nothing. What pumps have delivered
    must be saved by then, so it is not for those that write to what is saved later, such as Cognito.
    """

    def __init__(self, path: Path, pumps: Sequence[StreamPump]) -> None:
        super().__init__("positions")
        self._path = path
        self._pumps = pumps
        self._written: dict[str, dict[str, str]] = {}

    def _run(self) -> None:
        while not self.stopping.wait(POSITIONS_EVERY_S):
            try:
                self.write()
            except OSError:
                # A full disk may be emptied; without the newest positions more is delivered again.
                logger.exception("%s cannot be written", self._path)

    def stop(self) -> None:
        """Write a last time. Raises OSError."""
        super().stop()
        self.write()

    def write(self) -> None:
        """Write what has changed. Raises OSError."""
        positions = {pump.name: pump.positions for pump in self._pumps}
        if positions != self._written:
            unfinished = self._path.with_suffix(".new")
            unfinished.write_text(json.dumps(positions), encoding="utf-8")
            unfinished.replace(self._path)
            self._written = positions


def _load_positions(data: Path | None) -> dict[str, dict[str, str]]:
    """Where each pump was, by its function and shard; nothing of kept data of an earlier version."""
    if data is None or not (data / POSITIONS).exists():
        return {}
    kept = json.loads((data / POSITIONS).read_text(encoding="utf-8"))
    return {name: positions for name, positions in kept.items() if isinstance(positions, dict)}
