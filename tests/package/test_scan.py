"""The scan of the code finds nothing, and every exception of a scan says why. ``make scan`` runs all scanners."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from infra.scan import SCANNED

PROJECT = Path(__file__).parents[2]


def test_bandit_finds_nothing_but_what_is_explained() -> None:
    command = [sys.executable, "-m", "bandit", "-q", "-c", "pyproject.toml", "-r", *SCANNED]
    run = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize(
    ("name", "exception"),
    [("pyproject.toml", r'    "B\d{3}",'), ("infra/checkov.yaml", r"  - CKV_\w+")],
    ids=["bandit", "checkov"],
)
def test_every_exception_is_explained_above_it(name: str, exception: str) -> None:
    lines = (PROJECT / name).read_text(encoding="utf-8").splitlines()
    excepted = [number for number, line in enumerate(lines) if re.fullmatch(exception, line)]
    assert excepted
    for number in excepted:
        above = next(line for line in reversed(lines[:number]) if not re.fullmatch(exception, line))
        assert above.lstrip().startswith("#"), lines[number]


def test_what_bandit_leaves_out_ruff_checks_line_by_line() -> None:
    # Of what ruff finds each line is excepted by itself, with a reason, so that another one is seen.
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    assert "S" in settings["ruff"]["lint"]["select"]
    of_ruff = {f"S{name[1:]}" for name in settings["bandit"]["skips"]}
    application = settings["ruff"]["lint"]["per-file-ignores"].get("chalicelib/**", [])
    assert not of_ruff & {*settings["ruff"]["lint"]["ignore"], *application}
