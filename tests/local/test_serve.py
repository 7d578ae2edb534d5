"""``python -m local serve`` as a user runs it: its one line, what can be done with it, and how it ends."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from chalice.app import Chalice

from local.environment import isolated, process_environment
from local.mappings import event_source_mapping
from local.ports import PortTaken, check_ports
from local.state_file import NotServing, published, served, shell_lines, state_path
from tests.local.test_stack import alive

PROJECT = Path(__file__).parents[2]
APPLICATION = "app-1"


class Serving:
    """A running ``serve``, and its answers."""

    def __init__(self, process: subprocess.Popen[str], ready: Mapping[str, Any], log: Path) -> None:
        self.process = process
        self.ready = ready
        self.log = log

    def client(self, service: str) -> Any:
        return boto3.client(service, endpoint_url=self.ready["aws"], region_name=self.ready["region"])  # type: ignore[call-overload]

    def get(self, path: str) -> Any:
        token = {"Authorization": f"Bearer {self.ready['tokens']['viewer']}"}
        request = urllib.request.Request(self.ready["api"] + path, headers=token)  # noqa: S310 - our own address
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return json.load(answer)

    def stop(self, number: int = signal.SIGTERM) -> str:
        """End it; what it still printed."""
        self.process.send_signal(number)
        rest, _ = self.process.communicate(timeout=60)
        return rest


@contextmanager
def serving(directory: Path, *options: str, log: Path | None = None) -> Iterator[Serving]:
    log = log or directory / "stderr.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "local", "serve", *options],
            cwd=PROJECT,
            env={**isolated(os.environ), "TMPDIR": str(directory), "AWS_PROFILE": "missing"},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, log.read_text()
        yield Serving(process, json.loads(line), log)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture(autouse=True)
def _isolated() -> Iterator[None]:
    with process_environment(isolated(os.environ)):
        yield


def purchase(user: str, number: int, now_ms: int) -> bytes:
    """A user's purchase, one of many: the documented custom event with another time and user."""
    record = json.loads((PROJECT / "tests" / "payloads" / "constructed-custom-event-purchase.json").read_text())
    record["event_timestamp"] = now_ms + number
    record["arrival_timestamp"] = now_ms + number + 100
    record["application"]["app_id"] = APPLICATION
    record["endpoint"]["User"]["UserAttributes"]["username"] = [user]
    return json.dumps(record).encode()


def wait_for_purchases(system: Serving, count: int) -> None:
    day = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 86400))
    end = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 2 * 86400))
    deadline = time.monotonic() + 60
    found = 0
    while time.monotonic() < deadline:
        report = system.get(f"/applications/{APPLICATION}/report?from={day}&to={end}")
        found = report["total"]["events"].get("purchase", 0)
        if found == count:
            return
        time.sleep(0.2)
    raise AssertionError(f"{found} purchases, not {count}: {system.log.read_text()[-3000:]}")


def test_records_put_into_the_stream_are_in_the_report_and_it_ends_cleanly(tmp_path: Path) -> None:
    with serving(tmp_path, "--shards", "3", "--expire-every", "0.5") as system:
        ready = system.ready
        assert ready["ready"] is True
        assert len(system.client("kinesis").list_shards(StreamName=ready["stream"])["Shards"]) == 3
        assert system.get("/health")["status"] == "ok"
        now_ms = int(time.time() * 1000) - 60_000
        system.client("kinesis").put_records(
            StreamName=ready["stream"],
            Records=[
                {"Data": purchase(f"user-{number % 5}", number, now_ms), "PartitionKey": str(number)}
                for number in range(40)
            ]
            + [{"Data": b"not JSON", "PartitionKey": "bad"}],
        )
        wait_for_purchases(system, 40)
        assert system.client("s3").list_objects_v2(Bucket=ready["quarantine_bucket"])["KeyCount"] == 1
        assert set(ready["queues"]) == {"ingest_events", "project_facts", "sync_campaigns", "run_jobs"}
        answer = system.client("lambda").invoke(
            FunctionName=ready["function_names"]["tag_users"], Payload=b'{"Endpoints": {}}'
        )
        assert "FunctionError" not in answer
        environment = subprocess.run(
            [
                "bash",
                "-c",
                f'eval "$({sys.executable} -m local env)"; echo "$FACTS_TABLE $AWS_ENDPOINT_URL $API_URL $API_TOKEN"',
            ],
            cwd=PROJECT,
            env={**os.environ, "TMPDIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        expected = [ready["tables"]["facts"], ready["aws"], ready["api"], ready["tokens"]["admin"]]
        assert environment.stdout.split() == expected
        children = subprocess.run(
            ["pgrep", "-P", str(system.process.pid)], capture_output=True, text=True, check=True
        ).stdout.split()

        assert system.stop() == ""

        assert system.process.returncode == 0
        assert children
        assert not any(alive(int(child)) for child in children)
        assert not list(tmp_path.glob("ministack-*"))
        assert not list(tmp_path.glob("journey-attribution-*/*"))


def test_kept_data_go_on_after_ctrl_c(tmp_path: Path) -> None:
    data = tmp_path / "data"
    now_ms = int(time.time() * 1000) - 60_000
    with serving(tmp_path, "--data", str(data)) as system:
        put(system, range(30), now_ms)
        system.stop(signal.SIGINT)
        assert system.process.returncode == 0
        first = system.ready
    with serving(tmp_path, "--data", str(data)) as system:
        assert system.ready["tables"] == first["tables"]
        # The same users, with tokens of their own start: MiniStack has kept the pool, and nobody a password.
        assert system.ready["marketers_pool_id"] == first["marketers_pool_id"]
        assert set(system.ready["tokens"]) == {"viewer", "marketer", "admin"}
        assert not set(system.ready["tokens"].values()) & set(first["tokens"].values())
        put(system, range(20, 50), now_ms)
        wait_for_purchases(system, 50)
        system.stop()
        assert system.process.returncode == 0


def put(system: Serving, numbers: range, now_ms: int) -> None:
    system.client("kinesis").put_records(
        StreamName=system.ready["stream"],
        Records=[{"Data": purchase("user", number, now_ms), "PartitionKey": str(number)} for number in numbers],
    )


@pytest.mark.parametrize("options", [["--data", "/dev/null/x"], ["--journeys", "missing.json"]])
def test_what_is_wrong_is_said_in_one_line(options: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "local", "serve", *options],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_an_end_of_ministack_ends_serve_with_an_error(tmp_path: Path) -> None:
    with serving(tmp_path) as system:
        (child,) = subprocess.run(
            ["pgrep", "-f", "-P", str(system.process.pid), "ministack_child"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        os.kill(int(child), signal.SIGKILL)
        system.process.communicate(timeout=60)

    assert system.process.returncode == 1
    assert "ended with code -9" in system.log.read_text()


def run(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command of a user whose temporary files are in a directory."""
    return subprocess.run(
        [sys.executable, "-m", "local", *arguments],
        cwd=PROJECT,
        env={**isolated(os.environ), "TMPDIR": str(directory)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def exported(lines: str, name: str) -> str:
    """What a variable is after the lines."""
    echo = f'{lines}\nprintf %s "${name}"'
    return subprocess.run(["bash", "-c", echo], capture_output=True, text=True, check=True).stdout


def test_two_serves_of_one_user_have_files_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    with (
        serving(tmp_path, "--data", str(tmp_path / "data")) as first,
        serving(tmp_path, log=tmp_path / "logs" / "second") as second,
    ):
        newest = run(tmp_path, "env")
        assert exported(newest.stdout, "API_URL") == second.ready["api"]
        pids = first.process.pid, second.process.pid
        assert newest.stderr == f"Several serves run; this is the newest, process {pids[1]}. Others: --pid {pids[0]}.\n"
        for option, value in (("--pid", str(pids[0])), ("--data", str(tmp_path / "data"))):
            chosen = run(tmp_path, "env", option, value)
            assert (exported(chosen.stdout, "API_URL"), chosen.stderr) == (first.ready["api"], "")
        # The tokens of all three users.
        for user in ("admin", "marketer", "viewer"):
            assert exported(newest.stdout, f"API_TOKEN_{user.upper()}") == second.ready["tokens"][user]
        assert exported(newest.stdout, "API_TOKEN") == second.ready["tokens"]["admin"]

        # A taken port names itself and its option, before anything is started.
        for option, address in (("--api-port", first.ready["api"]), ("--aws-port", first.ready["aws"])):
            port = address.rpartition(":")[2]
            refused = run(tmp_path, "serve", option, port)
            assert (refused.returncode, refused.stdout) == (1, "")
            assert refused.stderr == (
                f"error: port {port} of {option} cannot be used (address already in use): choose another one, "
                "or 0 for any free one\n"
            )

        second.stop()
        assert exported(run(tmp_path, "env").stdout, "API_URL") == first.ready["api"]
        first.process.kill()
        first.process.wait()
        # What is left of a killed one is not taken for a running one, and goes with the next start.
        gone = run(tmp_path, "env")
        assert (gone.returncode, gone.stdout, gone.stderr) == (1, "", "error: no serve is running\n")
    with serving(tmp_path):
        assert len(list(tmp_path.glob("journey-attribution-*/*"))) == 1


def test_two_ports_of_one_serve_are_two() -> None:
    with pytest.raises(PortTaken, match="--api-port and --aws-port are both 8000"):
        check_ports({"--api-port": 8000, "--aws-port": 8000})
    check_ports({"--api-port": 0, "--aws-port": 0})


def test_a_terminal_is_told_what_to_do_next(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "local", "serve"],
        cwd=PROJECT,
        env={**isolated(os.environ), "TMPDIR": str(tmp_path)},
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    while b"Ctrl-C ends it." not in shown:
        shown += os.read(ours, 10_000)
    process.send_signal(signal.SIGINT)
    process.wait(60)
    os.close(ours)
    lines = shown.decode().strip().splitlines()
    assert 5 <= len(lines) <= 7
    assert "http://127.0.0.1:" in lines[0]
    assert '  eval "$(.venv/bin/python -m local env)"' in lines
    assert not any(line.startswith("{") for line in lines)


def test_log_lines_go_where_they_are_asked_for(tmp_path: Path) -> None:
    # Catches: a logger that keeps the level of its making, and lines that are logged twice.
    log = tmp_path / "log"
    with serving(tmp_path, "--json", "--log-file", str(log), "--log-level", "info") as system:
        put(system, range(5), int(time.time() * 1000) - 60_000)
        wait_for_purchases(system, 5)
        system.stop()
        assert system.log.read_text() == "stopping\n"
    counted = [line for line in log.read_text().splitlines() if '"RecordsIn":' in line]
    assert counted
    assert len(counted) == len(set(counted))
    assert sum(json.loads(line)["counts"]["RecordsIn"] for line in counted) == 5
    assert "_aws" not in log.read_text()


def test_env_without_serve_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotServing, match="no serve is running"):
        served(tmp_path)


def test_the_state_file_is_the_user_s_own(tmp_path: Path) -> None:
    with published(tmp_path, {"A": "it's; $(x)"}) as path:
        assert served(tmp_path).environment == {"A": "it's; $(x)"}
        assert path.stat().st_mode & 0o777 == 0o600
        path.chmod(0o666)
        with pytest.raises(NotServing, match="written by others"):
            served(tmp_path)
        path.chmod(0o600)
    assert not path.exists()


def test_the_lines_for_the_shell_are_quoted() -> None:
    lines = shell_lines({"A": "it's; $(x)", "not a name": "x"})

    echoed = subprocess.run(["bash", "-c", f'{lines}\nprintf %s "$A"'], capture_output=True, text=True, check=True)
    assert echoed.stdout == "it's; $(x)"
    assert "not a name" not in lines


def test_without_data_the_state_file_is_where_temporary_files_are() -> None:
    assert state_path(None).parent.parent == Path(tempfile.gettempdir())


def test_mappings_are_those_of_the_deployment() -> None:
    import app

    assert isinstance(app.app, Chalice)
    project = event_source_mapping(app.app, "project_facts")
    assert project.batch_size == 1000
    assert project.window_s > 0
    assert project.policy.expect_state
    assert project.policy.report_item_failures
    assert project.policy.bisect_on_error
    ingest = event_source_mapping(app.app, "ingest_events")
    assert not ingest.window_s
    assert not ingest.policy.expect_state
    assert event_source_mapping(app.app, "sync_campaigns").filters
    with pytest.raises(LookupError, match="no event source of TagUsers"):
        event_source_mapping(app.app, "tag_users")


def test_the_limits_of_a_mapping_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import app

    properties = {"MaximumRetryAttempts": 3, "MaximumRecordAgeInSeconds": -1}
    template = tmp_path / "functions.json"
    events = {"IngestEventsKinesisEventSource": {"Properties": properties}}
    template.write_text(json.dumps({"Resources": {"IngestEvents": {"Properties": {"Events": events}}}}))
    monkeypatch.setattr("local.mappings.FUNCTIONS", template)

    policy = event_source_mapping(app.app, "ingest_events").policy

    assert policy.maximum_retry_attempts == 3
    assert policy.maximum_record_age_s is None
    assert not policy.bisect_on_error
    assert not policy.report_item_failures
