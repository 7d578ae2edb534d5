"""Break each rule on purpose, in a copy of the project, and see that a test fails: ``make mutants``.

Each mutant is tried with the tests listed for it, on two copies at a time. Fails if one survives, or cannot be tried.
"""

from __future__ import annotations

import os
import queue
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, NamedTuple

import typer
from rich.console import Console
from rich.table import Table

from tests.mutants.mutants import Mutant, listed

ROOT = Path(__file__).parents[2]

LONGEST = 300
"""Seconds for the tests of one mutant. pytest ends a single test that hangs well before."""

FAILED = re.compile(r"^FAILED (tests/\S+?\.py::.*?)(?: - .*)?$", re.MULTILINE)


class Verdict(Enum):
    CAUGHT = "caught"
    SURVIVED = "survived"
    UNTRIED = "could not be tried"


class Trial(NamedTuple):
    """What became of a mutant; ``told`` is the test that failed, or what pytest said instead."""

    mutant: Mutant
    verdict: Verdict
    told: str
    seconds: float


class Run(NamedTuple):
    """How pytest ended. Code 0: all passed, 1: a test failed; anything else: it could not run them."""

    code: int
    output: str


def copy_of_the_project(to: Path) -> Path:
    """The files of the working tree that git knows or would know, and nothing else."""
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.split("\0")  # fmt: skip
    for name in names:
        # A file that was deleted and not committed yet is still listed.
        if name and (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, to / name)
    return to


def pytest(project: Path, *arguments: str) -> Run:
    """Run tests of a copy. Generated ones start from one seed, with no examples of former runs."""
    shutil.rmtree(project / ".hypothesis", ignore_errors=True)
    environment = {
        **os.environ,
        "HYPOTHESIS_PROFILE": "quick",
        # A mutant may be as long and as old as what it replaces, and Python would take the former's bytecode for it.
        "PYTHONDONTWRITEBYTECODE": "1",
        "COLUMNS": "500",
    }
    options = ("-x", "-q", "-p", "no:cacheprovider", "--tb=no", "--hypothesis-seed=0")
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *arguments],
            cwd=project, env=environment, check=False, capture_output=True, text=True, timeout=LONGEST,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Run(-1, f"not done after {LONGEST} seconds")
    return Run(ended.returncode, ended.stdout + ended.stderr)


def tried(mutant: Mutant, project: Path) -> Trial:
    """Break a copy, run the mutant's tests on it, and mend it."""
    started = time.monotonic()
    file = project / mutant.file
    text = file.read_text(encoding="utf-8")
    try:
        file.write_text(mutant.applied_to(text), encoding="utf-8")
        code, output = pytest(project, *mutant.tests)
    except ValueError as reason:
        code, output = -1, str(reason)
    finally:
        file.write_text(text, encoding="utf-8")
    seconds = time.monotonic() - started
    if code == 0:
        return Trial(mutant, Verdict.SURVIVED, "nothing", seconds)
    # A test that could not even be set up shows that something is broken, not that a test bites.
    if code == 1 and (failed := FAILED.search(output)):
        return Trial(mutant, Verdict.CAUGHT, failed[1].removeprefix("tests/"), seconds)
    return Trial(mutant, Verdict.UNTRIED, output[-2_000:].strip(), seconds)


def all_tried(mutants: Sequence[Mutant], projects: Sequence[Path], console: Console) -> list[Trial]:
    """Try mutants on as many copies at a time as there are; what became of them, in their order."""
    free: queue.SimpleQueue[Path] = queue.SimpleQueue()
    for project in projects:
        free.put(project)

    def on_a_free_copy(mutant: Mutant) -> Trial:
        project = free.get()
        try:
            return tried(mutant, project)
        finally:
            free.put(project)

    trials: list[Trial] = []
    with ThreadPoolExecutor(len(projects)) as pool:
        for trial in pool.map(on_a_free_copy, mutants):
            trials.append(trial)
            console.print(
                f"{len(trials):3} of {len(mutants)}  {trial.verdict.value}: {trial.mutant.name}", markup=False
            )
    return trials


def table_of(trials: Sequence[Trial]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("mutant", "rule", "caught by"):
        table.add_column(heading, overflow="fold")
    table.add_column("seconds", justify="right")
    for mutant, verdict, told, seconds in trials:
        by = told if verdict is Verdict.CAUGHT else f"{verdict.value.upper()}: {told}"
        # Names of tests hold brackets, which rich would take for markup.
        table.add_row(mutant.name, mutant.rule, by.replace("[", r"\["), f"{seconds:.1f}")
    return table


def main(
    named: Annotated[str, typer.Option(help="Only mutants whose name, rule or file holds this.")] = "",
    workers: Annotated[int, typer.Option(min=1, help="Copies of the project that are worked on at a time.")] = 2,
) -> None:
    """Try all mutants; exit status 1 if one survives."""
    started = time.monotonic()
    mutants, tests = listed(named)
    # In a pipe or a log there is no width to keep to.
    progress, console = Console(stderr=True), Console(width=None if sys.stdout.isatty() else 200)
    with TemporaryDirectory(prefix="mutants-") as folder:
        projects = [copy_of_the_project(Path(folder) / str(number)) for number in range(workers)]
        baseline = pytest(projects[0], *tests, f"--numprocesses={workers}", "--dist=loadfile")
        if baseline.code != 0:
            console.print(baseline.output, markup=False)
            console.print("Without any mutant the tests do not pass, so nothing can be learned from them.")
            raise typer.Exit(1)
        progress.print(f"{len(tests)} selections of tests pass without mutants")
        trials = all_tried(mutants, projects, progress)
    console.print(table_of(trials))
    missed = [trial for trial in trials if trial.verdict is not Verdict.CAUGHT]
    minutes, seconds = divmod(round(time.monotonic() - started), 60)
    console.print(
        f"\n{len(trials)} mutants of {len({trial.mutant.rule for trial in trials})} rules: "
        f"{len(trials) - len(missed)} caught, {len(missed)} not, in {minutes} min {seconds} s"
    )
    raise typer.Exit(1 if missed else 0)


if __name__ == "__main__":
    typer.run(main)
