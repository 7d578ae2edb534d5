"""A job kind that counts, and a queue whose messages a test delivers when and as often as it likes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from chalicelib.jobs.runner import Runner
from chalicelib.jobs.store import Job, JobFailed, JobStore
from tests.support.clock import SetClock

HOUR_MS = 3_600_000
STEP_MS = 2_000


class Counting:
    """Counts up to ``to``, one a step; ``before`` is called before each step and may do anything."""

    def __init__(self, before: Callable[[int], None] = lambda at: None) -> None:
        self.steps: list[int] = []
        self._before = before

    def start(self, params: Mapping[str, Any]) -> Any:
        if params["to"] < 0:
            raise JobFailed("Nobody can count to less than nothing.")
        return {"at": 0, "to": params["to"]}

    def step(self, state: Any) -> tuple[Any, int, int | None, bool]:
        self._before(state["at"])
        self.steps.append(state["at"])
        at = state["at"] + 1
        return {**state, "at": at}, at, state["to"], at == state["to"]

    def result(self, state: Any) -> Any:
        return {"counted": state["at"]}


class Messages:
    """The queue: messages as they were sent, with the seconds that they wait."""

    def __init__(self) -> None:
        self.sent: deque[tuple[Job, int]] = deque()

    def send(self, job: Job, delay_s: int = 0) -> None:
        self.sent.append((job, delay_s))


class Bench:
    """A runner with all that it needs; time stands, or passes by a step each time it is asked for."""

    def __init__(self, jobs: JobStore, clock: SetClock, kind: Counting, application: str) -> None:
        self.jobs = jobs
        self.clock = clock
        self.queue = Messages()
        self.application = application
        self.runner = Runner(jobs, self.queue, {"counting": lambda: kind}, clock)  # type: ignore[arg-type]

    def asked(self, to: int = 3) -> Job:
        return self.jobs.create(self.application, "counting", {"to": to}, "jané", self.clock.now())

    def run(self, job: Job, steps: int = 1_000, receives: int = 1) -> bool:
        """A call whose time suffices for so many saves."""
        left = iter([HOUR_MS] * steps)
        return self.runner.run(self.application, job.id, lambda: next(left, 0), receives)

    def now(self, job: Job) -> Job:
        found = self.jobs.get(self.application, job.id)
        assert found is not None
        return found
