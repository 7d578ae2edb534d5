"""Every option and argument of every command, with values that are none: a sentence, and exit code 1 or 2.

The commands' own parsers are walked, so that a new option is covered by itself.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import NoneType
from typing import Any, get_args

import pytest
import typer
from typer.testing import CliRunner, Result

from local.addresses import NoAddress, address_parts, is_on_this_machine
from local.cli import MAY_BE_EMPTY, app
from local.demo import STARTING
from local.environment import isolated, process_environment
from local.ministack import MiniStackFailed

NOWHERE = "http://127.0.0.1:1"
"""Where nothing answers."""
NO_NUMBERS = ("abc", "", " ", "1,5", "0x10", "--", "1 2", "nan", "inf", "-inf", "1e999", "-1e9")
NO_INTEGERS = (*NO_NUMBERS, "1.5", "1e3")
NO_URLS = (
    *("abc", "", " ", "http://", "ftp://127.0.0.1", "http://[::1", "http://127.0.0.1:x"),
    *("http://127.0.0.1:99999", "http://127.0.0.1:0", "http://a b", NOWHERE),
)
NO_TIMES = (
    *("abc", "", "2026-13-01", "2026-02-30T00:00:00Z", "99999-01-01", "2026-01-01T25:00Z", "2026-01-01T00:00:00"),
    "0h",
)
ODD_TEXTS = ("", " ", "\udcff", "a\nb", "\x1b[31mred", "x" * 5_000, "a/../b", "\u202eabc")
URLS = ("api", "endpoint_url")
TIMES = ("until", "since", "start", "end", "starts", "ends")
OF_AWS = ("--bucket", "b", "--endpoint-url", NOWHERE, "--region", "eu-west-1")
BASES: dict[str, list[str]] = {
    "simulate": ["--records", "5", "--stream", "s", "--endpoint-url", NOWHERE],
    "replay": ["FILE", "--stream", "s", "--endpoint-url", NOWHERE],
    "rebuild": ["shop", "--facts-table", "f", "--views-table", "v", *OF_AWS[2:]],
    "set-aside": ["shop", "--facts-table", "f", "--views-table", "v", *OF_AWS[2:]],
    "quarantine list": [*OF_AWS],
    "quarantine show": ["name", *OF_AWS],
    "quarantine replay": ["name", *OF_AWS, "--stream", "s"],
    **{name: ["shop"] for name in ("report", "journeys", "events", "settings", "compare", "jobs")},
    "users": ["shop", "jane"],
    **{name: [] for name in ("serve", "demo", "env")},
}
"""What each command is called with besides. Nothing that it asks answers, so that no call ends well."""


def leaves(command: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The commands, and those below them, by what they are called with."""
    below = getattr(command, "commands", None)
    if below is None:
        yield path, command
    for name, one in (below or {}).items():
        yield from leaves(one, f"{path} {name}".strip())


PARAMETERS = [
    pytest.param(path, parameter, id=f"{path} {parameter.name}")
    for path, command in leaves(typer.main.get_command(app))
    for parameter in command.params
    if not getattr(parameter, "is_flag", False)
]


def kind_of(parameter: Any) -> type:
    """Of its value: `list[Path]` and `Path | None` are paths."""
    annotation: Any = parameter.type_descriptor.annotation
    while get_args(annotation):
        annotation = next(one for one in get_args(annotation) if one is not NoneType)
    kind: type = annotation
    return kind


def bad_values(parameter: Any, folder: Path) -> list[str]:
    """Values that are none of the parameter's kind, or odd ones where any text is one."""
    kind = kind_of(parameter)
    if issubclass(kind, Enum):
        return ["abc", "", "\x1b"]
    if kind is int:
        return [*NO_INTEGERS]
    if kind in (float, Decimal):
        return [*NO_NUMBERS]
    if kind is not Path:
        by_name = {**dict.fromkeys(URLS, NO_URLS), **dict.fromkeys(TIMES, NO_TIMES)}
        return [*by_name.get(parameter.name, ODD_TEXTS)]
    (folder / "binary").write_bytes(b"\x00\xff\xfe{" * 10)
    paths = [folder / "missing" / "file", folder, folder / "binary"]
    return [*map(str, paths), "/dev/null/x", "", "x" * 5_000, "\udcff/\x1b"]


@contextmanager
def not_started(**_: Any) -> Iterator[None]:
    """In place of a system: the options that lead here are good ones."""
    raise MiniStackFailed("not started")
    yield


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A user's folder, with a file of records; no system is started, and nothing is waited for."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("local.serve.running_system", not_started)
    monkeypatch.setattr("local.rest_client.WAITS_S", ())
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    (tmp_path / "records").write_text("{}\n")
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    with process_environment({**isolated(os.environ), "API_URL": NOWHERE, "API_TOKEN": "t", "COLUMNS": "200"}):
        yield tmp_path
    for number, handler in handlers.items():
        signal.signal(number, handler)


def called(path: str, parameter: Any, value: str) -> list[str]:
    """The command's words, with the value for the parameter."""
    base = ["records" if one == "FILE" else one for one in BASES[path]]
    if parameter.param_type_name == "option":
        return [*path.split(), *base, f"{max(parameter.opts, key=len)}={value}"]
    # Arguments stand before the options, in the order of their declaration.
    first, *rest = base
    given = {"files": [], "names": [], "application": [], "name": []}.get(parameter.name, [first])
    after = rest if not given else [one for one in rest if one.startswith("--") or rest.index(one) > 0]
    if parameter.name == "application" and path == "users":
        given, after = [], ["jane"]
        return [*path.split(), value, *after]
    return [*path.split(), *given, value, *after]


def run(words: list[str]) -> Result:
    return CliRunner().invoke(app, words, prog_name="python -m local")


@pytest.mark.parametrize(("path", "parameter"), PARAMETERS)
def test_a_value_that_is_none_gives_a_sentence(folder: Path, path: str, parameter: Any) -> None:
    kind = kind_of(parameter)
    for value in bad_values(parameter, folder):
        result = run(called(path, parameter, value))
        told = f"{value[:50]!r}: {result.exit_code} {result.exception!r} {result.output[-500:]!r}"
        assert isinstance(result.exception, SystemExit), told
        # A value that can be told from its kind alone is bad usage; what turns out to be missing is not.
        wrong = kind in (int, float, Decimal) or issubclass(kind, Enum) or (not value and path not in MAY_BE_EMPTY)
        assert result.exit_code == 2 if wrong else result.exit_code in (1, 2), told
        said = result.stderr.removeprefix(STARTING).strip()
        assert said, told
        assert "Traceback" not in said, told
        assert "Errno" not in said, told
        if result.exit_code == 1:
            # One sentence, and no control characters of the value on the terminal.
            assert len(said.splitlines()) == 1, told
            assert "\x1b" not in said, told


def test_each_command_is_walked() -> None:
    assert {path for path, _ in leaves(typer.main.get_command(app))} == BASES.keys()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["compare", "shop", "--job", "--half-life-days", "abc"], "'abc' is not a number of days"),
        (["compare", "shop", "--half-life-days", "0"], "above 0"),
        (["report", "shop", "--api", "http://[::1"], "--api is the API's address"),
        (["events", "\udcff"], "'\\udcff' is not UTF-8"),
        (["serve", "--data="], "the value of --data is empty"),
        (["serve", "--expire-every", "nan"], "less than or equal to"),
        (["simulate", "--endpoint-url", NOWHERE], "name it with --stream"),
        (["rebuild", "shop", "--facts-table", "f"], "name both tables"),
        (["rebuild", "shop", "--drop", "--finish"], "give one of them"),
        (["simulate", "--until", "abc"], "abc"),
    ],
)
def test_bad_usage_says_what_is_wrong(folder: Path, words: list[str], said: str) -> None:
    result = run(words)
    assert result.exit_code == 2
    assert said in result.stderr


def test_the_program_itself_refuses_as_well(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "local", "compare", "shop", "--job", "--half-life-days", "abc"],
        env={**isolated(os.environ), "API_URL": NOWHERE, "API_TOKEN": "t"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "Traceback" not in ended.stderr


def test_an_empty_text_takes_away_where_a_command_says_so(folder: Path) -> None:
    result = run(["journeys", "shop", "j1", "--cost", ""])
    assert result.exit_code == 1
    assert "cannot be reached" in result.stderr


@pytest.mark.parametrize("address", [one for one in NO_URLS if one != NOWHERE])
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(NoAddress):
        address_parts(address)


def test_addresses_of_this_machine() -> None:
    here = [
        "http://127.0.0.1:4566",
        "https://localhost",
        "http://a.localhost:1/x",
        "http://[::1]:80",
        "http://127.9.9.9",
    ]
    assert all(map(is_on_this_machine, here))
    assert not any(map(is_on_this_machine, ["http://127.0.0.1.evil.example", "https://example.org", "http://10.0.0.1"]))
