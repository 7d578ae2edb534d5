"""A MiniStack of the properties' own: its index queries look at all items of a table, also at other tests'."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chalicelib import wiring
from local.stack import LocalStack
from tests.properties.counted import FAULTS, TRIED, summary
from tests.support.clock import SetClock
from tests.support.stacks import own_stack
from tests.support.system import System, clear_wiring


@pytest.fixture(scope="package")
def stack() -> Iterator[LocalStack]:
    with own_stack() as made:
        yield made


@pytest.fixture(scope="package")
def clock(stack: LocalStack) -> Iterator[SetClock]:
    """The application's clock, which stands where a test puts it."""
    with pytest.MonkeyPatch.context() as patch:
        clock = SetClock()
        patch.setattr(wiring, "clock", clock)
        clear_wiring()
        yield clock


@pytest.fixture(scope="package")
def system(stack: LocalStack, clock: SetClock) -> System:
    return System(stack)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how much was tried, where the tests run in this process."""
    if TRIED:
        terminalreporter.write_line(summary())
        for (operation, fault), number in sorted(FAULTS.items()):
            terminalreporter.write_line(f"  {operation:32} {fault:18} {number}")
