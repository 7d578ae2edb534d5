"""The demo's stream on its way: sent, counted as it goes out, and followed until all of it is in the report."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from local.kinesis_writer import Entry, StreamWriter, batches, kinesis_client
from local.reconcile import Sent
from local.rest_client import Api
from local.simulate import entries
from local.simulation import Simulation
from local.simulation.chance import seeded

if TYPE_CHECKING:
    from local.serve import System

LOOK_EVERY_S = 1.0
LONGEST_S = 24 * 3600.0


class Counted(ProgressColumn):
    """How many of how many, where that is known."""

    def render(self, task: Task) -> Text:
        total = f"{task.total:,.0f}" if task.total is not None else "?"
        return Text(f"{task.completed:,.0f} of {total}", style="progress.download")


class Delivery(AbstractContextManager["Delivery"]):
    """Sends a simulation into a running system, and shows how far it is for as long as it is entered.

    Parameters
    ----------
    repeated
        How many of the first records `repeat` sends again.
    errors
        Where the progress is shown.
    """

    def __init__(self, system: System, api: Api, simulation: Simulation, repeated: int, errors: Console) -> None:
        self.sent = Sent()
        self._system = system
        self._api = api
        self._simulation = simulation
        self._repeated = repeated
        self._errors = errors
        self._first: list[Entry] = []
        stream = system.stack.event_stream
        self._writer = StreamWriter(kinesis_client(stream, system.stack.endpoint, system.stack.region), stream)
        columns = (TextColumn("{task.description:20}"), BarColumn(), Counted(), TimeElapsedColumn())
        # Standard output is the report's, and what the application prints there is not for this console.
        self._bars = Progress(*columns, console=errors, redirect_stdout=False, disable=not errors.is_terminal)
        wanted = simulation.records_wanted
        self._out = self._bars.add_task("records sent", total=wanted)
        self._ingested = self._bars.add_task("records ingested", total=wanted)
        self._projected = self._bars.add_task("events in the report", total=None)

    def __enter__(self) -> Delivery:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def send(self) -> Sent:
        """Put the whole simulation into the stream; what was sent. Raises StreamError."""
        rng = seeded(self._simulation.seed, "partition keys")
        for batch in batches(entries(self._simulation.records(), rng)):
            self._writer.put(batch)
            for entry in batch:
                self.sent.add(entry.data)
            self._first += batch[: self._repeated - len(self._first)]
            self._bars.advance(self._out, len(batch))
            self._bars.update(self._projected, total=self.sent.events)
            self._show_ingested()
        return self.sent

    def wait(self) -> None:
        """Wait until all of it is ingested, projected, and told to Cognito.

        Raises MiniStackFailed if the emulated AWS ends, TimeoutError, RestFailed.
        """
        pool = ThreadPoolExecutor(1, "wait")
        try:
            done = pool.submit(self._system.wait_until_idle, LONGEST_S)
            while wait([done], LOOK_EVERY_S).not_done:
                self._system.check()
                self._show()
            done.result()
        finally:
            # Interrupted, it goes on until the pumps stop, which is after this.
            pool.shutdown(wait=False)
        self._show()

    def repeat(self) -> int:
        """Send the first records a second time and wait as before; how many they are. Raises as `send` and `wait`."""
        for batch in batches(self._first):
            self._writer.put(batch)
        self.wait()
        return len(self._first)

    def _show(self) -> None:
        self._show_ingested()
        if not self._bars.disable:
            reports = [self._api.report(application) for application in self._simulation.journey_names()]
            self._bars.update(self._projected, completed=sum(report.total.count for report in reports))

    def _show_ingested(self) -> None:
        self._bars.update(self._ingested, completed=self._system.stream_pumps[0].delivered)
