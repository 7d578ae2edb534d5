"""Ctrl-C, SIGTERM and a closed terminal, at any moment: one line, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from local.environment import isolated
from tests.e2e.support import is_running

PROJECT = Path(__file__).parents[2]


def started(directory: Path, *arguments: str) -> subprocess.Popen[str]:
    """A command, with temporary files of its own, in a session of its own: a signal to its group reaches all of it."""
    environment = {
        name: value for name, value in isolated(os.environ).items() if not name.startswith(("LOG_", "POWERTOOLS_"))
    }
    return subprocess.Popen(
        [sys.executable, "-m", "local", *arguments],
        cwd=PROJECT,
        env={**environment, "TMPDIR": str(directory)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def processes_of(directory: Path) -> list[int]:
    """The processes that have their temporary files in a directory, whoever their parent is."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            variables = (process / "environ").read_bytes().split(b"\0")
            if any(one.startswith(f"TMPDIR={directory}".encode()) for one in variables):
                found.append(int(process.name))
    return [pid for pid in found if is_running(pid)]


def assert_nothing_is_left(directory: Path) -> None:
    assert processes_of(directory) == []
    assert list(directory.glob("ministack-*")) == []
    assert list(directory.glob("journey-attribution-*/*")) == []


def wait_for_child(directory: Path) -> None:
    """Until there is a second process, the emulated AWS."""
    deadline = time.monotonic() + 30
    while len(processes_of(directory)) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def progress_left_out(errors: str) -> list[str]:
    """The lines of standard error, without what `demo` says of how far it is."""
    return [line for line in errors.splitlines() if not line.startswith(("Starting an", "20,000 records are sent"))]


def lines_of(process: subprocess.Popen[str]) -> list[str]:
    """What it says on standard error until its end."""
    return progress_left_out(process.communicate(timeout=30)[1])


@pytest.mark.parametrize(
    ("command", "seconds"),
    [
        *(("serve", seconds) for seconds in (0.3, 0.8, 1.5, 3.0, 4.5)),
        *(("demo", seconds) for seconds in (1.0, 3.0, 6.0, 8.0)),
    ],
)
def test_at_a_moment(tmp_path: Path, command: str, seconds: float) -> None:
    process = started(tmp_path, command)
    time.sleep(seconds)
    # As a terminal does: to the whole group.
    os.killpg(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=30)
    # On a fast machine serve is ready by then, and ends cleanly.
    ready = output.startswith('{"ready": true')
    assert progress_left_out(errors) == ["stopping" if ready else "stopped"]
    assert process.returncode == (0 if ready else 130)
    assert_nothing_is_left(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_signals_as_soon_as_there_is_a_child(tmp_path: Path, number: signal.Signals) -> None:
    process = started(tmp_path, "serve", "--data", str(tmp_path / "data"))
    wait_for_child(tmp_path)
    os.killpg(process.pid, number)
    assert lines_of(process) == ["stopped"]
    assert process.returncode == 128 + number
    assert_nothing_is_left(tmp_path)


@pytest.mark.parametrize("data", [False, True])
def test_while_it_runs(tmp_path: Path, data: bool) -> None:
    process = started(tmp_path, "serve", *(["--data", str(tmp_path / "data")] if data else []))
    assert process.stdout is not None
    assert process.stdout.readline().startswith('{"ready": true')
    os.killpg(process.pid, signal.SIGINT)
    assert lines_of(process) == ["stopping"]
    assert process.returncode == 0
    assert_nothing_is_left(tmp_path)


@pytest.mark.parametrize("seconds", [0.05, 0.3, 0.6])
def test_again_while_it_stops(tmp_path: Path, seconds: float) -> None:
    process = started(tmp_path, "serve", "--data", str(tmp_path / "data"))
    assert process.stdout is not None
    process.stdout.readline()
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(seconds)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
    assert lines_of(process) == ["stopping"]
    assert process.returncode in (0, 130)
    assert_nothing_is_left(tmp_path)


def test_a_terminal_that_is_gone(tmp_path: Path) -> None:
    # Whatever it says fails then, which must not keep it from ending.
    process = started(tmp_path, "serve")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    process.stderr.close()
    os.killpg(process.pid, signal.SIGHUP)
    assert process.wait(30) == 0
    assert_nothing_is_left(tmp_path)
