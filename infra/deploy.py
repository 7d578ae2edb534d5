"""A stage by ``chalice deploy``: the data stack first, then Chalice, then what Chalice cannot set.

    python -m infra.deploy up --stage dev

For a first stage, tried out in minutes; one that is watched and throttled is deployed from the packaged template
(docs/deploy.md). Each command may be given again.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from boto3.session import Session

from infra import data_stack
from infra.data_stack import Json, StackFailed, needed, policies, read
from infra.expressions import with_values
from infra.package import CHALICE, RUNTIME, PackagingFailed, copy_shipped
from infra.settings import Deployed, Settings, logical_id, wanted

SOURCES = {
    "EVENT_STREAM": ("IngestEvents", "Stream"),
    "FACTS_STREAM_ARN": ("ProjectFacts", "Stream"),
    "VIEWS_STREAM_ARN": ("SyncCampaigns", "Stream"),
    "JOBS_QUEUE_ARN": ("RunJobs", "Queue"),
}
"""What ``app.py`` reads from the environment of Chalice: its event sources."""

app = typer.Typer(help=__doc__, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)

Stage = Annotated[str, typer.Option(help="Stage of .chalice/config.json; a new one is like dev.")]
Stack = Annotated[str, typer.Option(help="Name of the data stack; empty: the application's name, the stage, data.")]
Parameters = Annotated[
    list[str] | None, typer.Option("--parameter", metavar="NAME=VALUE", help="A parameter of infra/data.json.")
]


class ChaliceFailed(Exception):
    """``chalice deploy`` failed; the message is what it said."""


class StageOf:
    """A stage of a project."""

    def __init__(self, project: Path, stage: str, stack: str = "") -> None:
        self.project = project
        self.stage = stage
        self.config = read(project, ".chalice/config.json")
        self.functions = read(project, "infra/functions.json")
        self.stack = stack or f"{self.config['app_name']}-{stage}-data"
        self._session = Session()

    # --- the data stack ---

    def deploy_data(self, parameters: Mapping[str, str]) -> dict[str, str]:
        """Make or change the data stack; its outputs. Raises StackFailed."""
        return data_stack.deploy(self._session.client("cloudformation"), self.project, self.stack, parameters)

    def outputs(self) -> dict[str, str]:
        """Of the data stack."""
        return data_stack.outputs(self._session.client("cloudformation"), self.stack)

    # --- Chalice ---

    def deploy_functions(self, outputs: Mapping[str, str]) -> None:
        """Run ``chalice deploy`` in a copy of the project that names the data stack's resources.

        What Chalice notes down about the stage stays in the project, or the next time it would make everything anew.

        Raises
        ------
        ChaliceFailed
            With what it said.
        PackagingFailed
            A library cannot be had for Lambda.
        """
        self._chalice("deploy", outputs)

    def delete_functions(self, outputs: Mapping[str, str]) -> None:
        """Run ``chalice delete`` on what it deployed; the data stack stays. Raises as `deploy_functions` does."""
        self._chalice("delete", outputs)

    def _chalice(self, command: str, outputs: Mapping[str, str]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder, "project")
            self._copy(copy, outputs)
            run = subprocess.run(
                [sys.executable, "-c", CHALICE, self.config[RUNTIME], command, "--stage", self.stage],
                cwd=copy,
                env={**os.environ, **self._sources(outputs), "PYTHONDONTWRITEBYTECODE": "1"},
                text=True,
                capture_output=True,
                check=False,
            )
            notes = copy / ".chalice/deployed"
            if notes.exists():
                shutil.copytree(notes, self.project / ".chalice/deployed", dirs_exist_ok=True)
            if run.returncode:
                raise ChaliceFailed(run.stdout + run.stderr)

    def _copy(self, copy: Path, outputs: Mapping[str, str]) -> None:
        copy_shipped(self.project, copy)
        notes = self.project / ".chalice/deployed"
        if notes.exists():
            shutil.copytree(notes, copy / ".chalice/deployed")
        _write(copy / ".chalice/config.json", self.chalice_config(outputs))
        for name, policy in policies(self.project).items():
            _write(copy / ".chalice/policies" / name, with_values(policy, outputs))

    def chalice_config(self, outputs: Mapping[str, str]) -> Json:
        """``.chalice/config.json`` with the environment that the template would give the functions."""
        told = with_values(needed(self.functions), outputs)
        stages = self.config["stages"]
        stage = dict(stages.get(self.stage, stages["dev"]))
        stage["environment_variables"] = {
            **told["Globals"]["Function"]["Environment"]["Variables"],
            **stage.get("environment_variables", {}),
        }
        own = {name: told["Resources"].get(logical_id(name), {}) for name in self.config["lambda_functions"]}
        stage["lambda_functions"] = {
            name: {"environment_variables": one["Environment"]["Variables"]}
            for name, one in own.items()
            if "Environment" in one
        }
        return {**self.config, "stages": {**stages, self.stage: stage}}

    def _sources(self, outputs: Mapping[str, str]) -> dict[str, str]:
        resources = with_values(needed(self.functions), outputs)["Resources"]
        found = {}
        for variable, (function, source) in SOURCES.items():
            (arn,) = (
                one["Properties"][source]
                for one in resources[function]["Events"].values()
                if source in one["Properties"]
            )
            # Chalice wants a Kinesis stream's name, and makes an ARN of it.
            found[variable] = arn.rpartition("/")[2] if ":kinesis:" in arn else arn
        return found

    # --- what Chalice cannot set ---

    def settings(self, outputs: Mapping[str, str]) -> Settings:
        """Of the functions that Chalice deployed."""
        deployed = Deployed.of(read(self.project, f".chalice/deployed/{self.stage}.json"))
        return Settings(self._session, deployed, wanted(self.functions, outputs, iter(self.config["lambda_functions"])))


def _write(path: Path, content: Json) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _given(parameters: list[str] | None) -> dict[str, str]:
    pairs = [one.partition("=") for one in parameters or ()]
    if wrong := [name for name, equals, _ in pairs if not equals]:
        raise typer.BadParameter(f"{wrong[0]} must be NAME=VALUE")
    return {name: value for name, _, value in pairs}


@app.command()
def up(stage: Stage = "dev", stack: Stack = "", parameter: Parameters = None) -> None:
    """All steps: the data stack, chalice deploy, what Chalice cannot set, and the check."""
    one = StageOf(Path.cwd(), stage, stack)
    outputs = one.deploy_data(_given(parameter))
    one.deploy_functions(outputs)
    one.settings(outputs).apply()
    _tell(one.settings(outputs).differences())


@app.command()
def data(stage: Stage = "dev", stack: Stack = "", parameter: Parameters = None) -> None:
    """The data stack alone."""
    one = StageOf(Path.cwd(), stage, stack)
    outputs = one.deploy_data(_given(parameter))
    print(json.dumps({name: outputs[name] for name in read(one.project, "infra/data.json")["Outputs"]}, indent=2))


@app.command()
def functions(stage: Stage = "dev", stack: Stack = "") -> None:
    """chalice deploy alone, on a data stack that is there."""
    one = StageOf(Path.cwd(), stage, stack)
    one.deploy_functions(one.outputs())


@app.command()
def settings(stage: Stage = "dev", stack: Stack = "") -> None:
    """What Chalice cannot set: to be given after each chalice deploy."""
    one = StageOf(Path.cwd(), stage, stack)
    one.settings(one.outputs()).apply()


@app.command()
def check(stage: Stage = "dev", stack: Stack = "") -> None:
    """Compare what is deployed with what the template says; ends with 1 if they differ."""
    one = StageOf(Path.cwd(), stage, stack)
    _tell(one.settings(one.outputs()).differences())


@app.command()
def down(stage: Stage = "dev", stack: Stack = "") -> None:
    """chalice delete; the data stack, which stays, is deleted by infra.remove."""
    one = StageOf(Path.cwd(), stage, stack)
    one.delete_functions(one.outputs())
    print(f"functions and API are deleted; the data: python -m infra.remove {one.stack}")


def _tell(differences: list[str]) -> None:
    for one in differences:
        print(one)
    if differences:
        raise typer.Exit(1)
    print("all settings are as the template says")


def main() -> None:
    try:
        app()
    except (StackFailed, ChaliceFailed, PackagingFailed) as failure:
        sys.exit(str(failure))


if __name__ == "__main__":
    main()
