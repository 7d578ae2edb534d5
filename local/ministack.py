"""MiniStack as a child process on loopback: started, waited for, stopped, and never left behind."""

from __future__ import annotations

import fcntl
import functools
import http.client
import json
import logging
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from local.environment import DEFAULT_REGION, LOOPBACK, isolated
from local.givingup import given_up_by, uninterrupted

logger = logging.getLogger(__name__)

CHILD = Path(__file__).with_name("ministack_child.py")
LOG_NAME = "ministack.log"
READY_WITHIN_S = 60.0
# With kept data it writes its whole state at the start and on the way out.
STOPPED_WITHIN_S = 60.0
PORT_ATTEMPTS = 3


class MiniStackFailed(Exception):
    """MiniStack did not start, or ended by itself; the message ends with the tail of its log."""


class Unclean(NamedTuple):
    """What is known of a data directory whose last local system did not stop cleanly. Times are UTC."""

    saved: datetime
    """When something was last saved."""


class MiniStack:
    """A running MiniStack; made by `running_ministack`.

    Attributes
    ----------
    unclean
        Of its data directory; None without one, and where the last end was clean.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], port: int, region: str, log: Path, token: str, data: Path | None = None
    ) -> None:
        self.process = process
        self.port = port
        self.region = region
        self.log = log
        self.unclean: Unclean | None = None
        self._token = token
        self._data = data

    @property
    def endpoint(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def check(self) -> None:
        """Raise `MiniStackFailed` if the child is gone."""
        code = self.process.poll()
        if code is not None:
            raise MiniStackFailed(f"MiniStack on port {self.port} ended with code {code}. {_tail(self.log)}")

    def wait_until_ready(self, timeout_s: float = READY_WITHIN_S) -> None:
        """Wait for its health check.

        Raises
        ------
        MiniStackFailed
            It ended, or did not answer in ``timeout_s``.
        """
        deadline = time.monotonic() + timeout_s
        while not self._healthy():
            self.check()
            if time.monotonic() > deadline:
                raise MiniStackFailed(f"MiniStack did not answer in {timeout_s:.0f} s. {_tail(self.log)}")
            time.sleep(0.05)

    def begin_journal(self) -> None:
        """With kept data: save what there is, and from now on whatever changes. Raises `MiniStackFailed`, OSError."""
        if self._data is not None:
            _lock_of(self._data).write_text(f"{os.getpid()}\n", encoding="ascii")
            self._order("/_journal/begin")

    def forget_changes(self) -> None:
        """With kept data: forget the tables' change records, all of which are projected. Raises `MiniStackFailed`."""
        if self._data is not None:
            self._order("/_journal/forget")

    def stop(self) -> None:
        """End the child so that it saves its state; kill it if it does not end."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOPPED_WITHIN_S)
            except subprocess.TimeoutExpired:
                logger.error("MiniStack did not stop in %.0f s and is killed", STOPPED_WITHIN_S)
        self.kill()
        if self._data is not None and self.process.returncode == 0:
            _lock_of(self._data).write_text("", encoding="ascii")

    def kill(self) -> None:
        """End the child and what it started at once."""
        # It leads a group of its own, which the functions that it runs are in.
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()

    def _order(self, path: str) -> None:
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=STOPPED_WITHIN_S)
        try:
            connection.request("POST", path)
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            raise MiniStackFailed(f"MiniStack could not save its state: {error}. {_tail(self.log)}") from error
        finally:
            connection.close()
        if status != http.HTTPStatus.NO_CONTENT:
            raise MiniStackFailed(f"MiniStack could not save its state. {_tail(self.log)}")

    def _healthy(self) -> bool:
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=2)
        try:
            connection.request("GET", "/_ministack/health")
            answer = json.loads(connection.getresponse().read())
            # On a port that was already taken another one answers, until this child has found that out and ends.
            return isinstance(answer, dict) and answer.get("edition") == self._token
        except (OSError, http.client.HTTPException, ValueError):
            return False
        finally:
            connection.close()


@contextmanager
def running_ministack(port: int = 0, data: Path | None = None, region: str = DEFAULT_REGION) -> Iterator[MiniStack]:
    """MiniStack for the time of the block, on loopback only.

    Parameters
    ----------
    port
        0 picks a free one.
    data
        Directory in which tables, stream, pool, bucket and queues outlive the process, written as they change (see
        `ministack_journal`) from `MiniStack.begin_journal` on, and when it stops cleanly. Without it everything is in
        memory.

    Raises
    ------
    MiniStackFailed
        It did not start, or ``data`` is in use by another one.
    """
    with ExitStack() as stack:
        with uninterrupted():
            scratch = Path(tempfile.mkdtemp(prefix="ministack-"))
            remove_scratch = functools.partial(shutil.rmtree, scratch, ignore_errors=True)
            stack.callback(remove_scratch)
            stack.enter_context(given_up_by(remove_scratch))
        unclean = None
        if data is not None:
            data.mkdir(parents=True, exist_ok=True)
            unclean = stack.enter_context(_locked(data))
        ministack = stack.enter_context(_started(port, data, region, scratch))
        ministack.unclean = unclean
        yield ministack


@contextmanager
def _started(port: int, data: Path | None, region: str, scratch: Path) -> Iterator[MiniStack]:
    attempts = 1 if port else PORT_ATTEMPTS
    for attempt in range(1, attempts + 1):
        with ExitStack() as stack:
            with uninterrupted():
                ministack = _spawn(port or free_port(), data, region, scratch)
                stack.enter_context(given_up_by(ministack.kill))
            stack.callback(ministack.stop)
            try:
                ministack.wait_until_ready()
            except MiniStackFailed:
                # Between finding a free port and binding it another process may have taken it.
                if attempt == attempts:
                    raise
                continue
            yield ministack
            return


def _spawn(port: int, data: Path | None, region: str, scratch: Path) -> MiniStack:
    log = (data or scratch) / LOG_NAME
    token = secrets.token_hex(8)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-I", str(CHILD)],
            # Its health check repeats the edition it is told.
            env=isolated(os.environ, region) | _settings(port, data, region, scratch) | {"MINISTACK_EDITION": token},
            cwd=scratch,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            # Ctrl-C goes to the whole group of the terminal; the child must outlive the pumps that still use it.
            start_new_session=True,
        )
    return MiniStack(process, port, region, log, token, data)


def _settings(port: int, data: Path | None, region: str, scratch: Path) -> dict[str, str]:
    """MiniStack's own environment variables."""
    return {
        "BIND_HOST": LOOPBACK,
        "MINISTACK_HOST": LOOPBACK,
        "GATEWAY_PORT": str(port),
        "MINISTACK_REGION": region,
        "LOG_LEVEL": "WARNING",
        "PERSIST_STATE": "1" if data else "0",
        "STATE_DIR": str((data or scratch) / "state"),
        "S3_PERSIST": "1" if data else "0",
        "S3_DATA_DIR": str((data or scratch) / "s3"),
        # Its pid file and the code of its Lambda functions; deleted at the end.
        "TMPDIR": str(scratch),
        # It removes "its" containers at start and stop: keep it from any Docker there may be.
        "DOCKER_HOST": f"unix://{scratch}/no-docker.sock",
        # Listeners on fixed ports that nothing here needs.
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
    }


@contextmanager
def _locked(data: Path) -> Iterator[Unclean | None]:
    """Hold a data directory: two processes that save into one would lose each other's state.

    The lock's file has the holder's process id until it has stopped cleanly.
    """
    with _lock_of(data).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise MiniStackFailed(f"{data} is in use by another local system: stop it or take another one") from error
        lock.seek(0)
        yield Unclean(_last_saved(data)) if lock.read() else None


def _lock_of(data: Path) -> Path:
    return data / "lock"


def _last_saved(data: Path) -> datetime:
    """The newest file's time."""
    times = [one.stat().st_mtime for one in (data / "state").rglob("*") if one.is_file()]
    return datetime.fromtimestamp(max(times, default=data.stat().st_mtime), UTC)


def free_port() -> int:
    """A TCP port of loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def _tail(log: Path, lines: int = 15) -> str:
    try:
        text = log.read_text(errors="replace")
    except OSError as error:
        return f"Its log cannot be read: {error}"
    return f"The end of its log, {log}:\n" + "\n".join(text.splitlines()[-lines:])
