"""Commands of the pages for operators work when copied: shell, outputs, options of the project and of AWS."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import boto3
import pytest
from botocore import xform_name

PROJECT = Path(__file__).parents[2]
PAGES = ("deploy.md", "runbook.md")

BLOCK = re.compile(r"^( *)```sh\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
VARIABLE = re.compile(r"\$\{?([A-Za-z]\w*)")
ASSIGNED = re.compile(r"(?:^|[ \"(])([a-z]\w*)=|\bread -r (\w+)", re.MULTILINE)

OF_AWS_CLI = {
    *("--query", "--output", "--cli-binary-format", "--parameter-overrides"),
    *("--enabled", "--no-enabled"),
}
"""Options that are the command line's own, or a flag of it for a member of the request."""


def blocks(page: str) -> list[str]:
    """The page's shell, without the lines' continuation."""
    text = (PROJECT / "docs" / page).read_text(encoding="utf-8")
    return [re.sub(rf"^{indent}", "", body, flags=re.MULTILINE) for indent, body in BLOCK.findall(text)]


def commands(page: str, program: str) -> Iterator[str]:
    """Calls of a program in the page's shell and text, each on one line."""
    text = (PROJECT / "docs" / page).read_text(encoding="utf-8").replace("\\\n", " ")
    text = re.sub(r"(`[^`\n]*)\n *([^`\n]*`)", r"\1 \2", text)
    for found in re.finditer(rf"(?:^|[ `(]){re.escape(program)} ([^|>`\n]*)", text, re.MULTILINE):
        yield found[1].strip()


@pytest.mark.parametrize("page", PAGES)
def test_the_shell_of_a_page_is_shell(page: str) -> None:
    assert blocks(page)
    for block in blocks(page):
        run = subprocess.run(["bash", "-n"], input=block, text=True, capture_output=True, check=False)
        assert run.returncode == 0, f"{block}\n{run.stderr}"


@pytest.mark.parametrize("page", PAGES)
def test_every_variable_is_an_output_of_the_stack_or_set_on_the_page(page: str, built: Path) -> None:
    outputs = set(json.loads((built / "sam.json").read_text(encoding="utf-8"))["Outputs"])
    text = (PROJECT / "docs" / page).read_text(encoding="utf-8")
    shell = "\n".join(blocks(page))
    # In the text, names of outputs are written as variables, too.
    used = {*VARIABLE.findall(shell), *re.findall(r"`\$(\w+)`", text)}
    named = {name for name in used if name[0].isupper()}
    assert named
    assert named <= outputs
    assigned = {one or other for one, other in ASSIGNED.findall(shell)}
    # AWS's own metavariable in a filter pattern.
    assert used - named - {"level", "status"} <= assigned


@cache
def help_of(*command: str) -> str:
    run = subprocess.run(
        [sys.executable, "-m", *command, "--help"],
        cwd=PROJECT,
        env={"COLUMNS": "200", "TERM": "dumb", "PATH": ""},
        text=True,
        capture_output=True,
        check=False,
    )
    assert run.returncode == 0, (command, run.stderr)
    return run.stdout


@pytest.mark.parametrize("page", PAGES)
def test_the_project_s_commands_exist_with_their_options(page: str) -> None:
    found = list(commands(page, ".venv/bin/python -m"))
    assert found
    for one in found:
        module, *words = one.split()
        groups = []
        for word in words:
            if not re.fullmatch(r"[a-z][a-z-]*", word) or f"{word}.ndjson" in words:
                break
            groups.append(word)
        told = help_of(module, *groups)
        for option in re.findall(r"(?<= )--[a-z-]+", one):
            assert option in told, one


@pytest.mark.parametrize("page", PAGES)
def test_calls_of_aws_are_those_of_its_interfaces(page: str) -> None:
    found = list(commands(page, "aws"))
    assert found
    for one in found:
        service, operation = one.split()[:2]
        if (service, operation) == ("configure", "get"):
            continue
        client = boto3.client(service, region_name="us-east-1")  # type: ignore[call-overload]
        if operation == "wait":
            assert one.split()[2].replace("-", "_") in client.waiter_names, one
            continue
        method = operation.replace("-", "_")
        assert method in client.meta.method_to_api_mapping, one
        shape = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[method]).input_shape
        known = {"--" + xform_name(name, "-") for name in shape.members} if shape else set()
        options = set(re.findall(r"(?<= )--[a-z-]+", one))
        assert options - OF_AWS_CLI <= known | {"--payload"}, one
        required = {"--" + xform_name(name, "-") for name in (shape.required_members if shape else ())}
        assert required <= options, one
