"""A first stage by ``chalice deploy``, on a MiniStack of its own: in the end it is set as the template sets it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from boto3.session import Session

from infra import deploy
from infra.deploy import StageOf
from infra.expressions import expressions, output_name, outputs_of, with_values
from infra.package import CHALICE, PackagingFailed, package
from infra.remove import Removal
from infra.settings import Deployed
from local.environment import isolated, process_environment
from local.lambda_events import scheduled_event
from local.ministack import running_ministack
from tests.deployed.deployment import project_copy
from tests.deployed.test_deployed import moment

STAGE = "first"
FORGOTTEN = ["project_facts TumblingWindowInSeconds: None, but should be 900"]
"""MiniStack takes a mapping's window and forgets it."""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StageOf]:
    """The stage, deployed, and nothing set yet that Chalice cannot set."""
    project = project_copy(tmp_path_factory.mktemp("first") / "project")
    # Chalice looks every five seconds whether a function is active; here each is within a few tenths.
    hasty = f"import time; sleep = time.sleep; time.sleep = lambda seconds: sleep(min(seconds, 0.2)); {CHALICE}"
    with (
        process_environment({**isolated(os.environ), "AUTH": "true"}),
        running_ministack() as ministack,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("AWS_ENDPOINT_URL", ministack.endpoint)
        patch.setattr(deploy, "CHALICE", hasty)
        made = StageOf(project, STAGE)
        made.deploy_functions(made.deploy_data({"ShardCount": "1"}))
        yield made
        ministack.process.kill()


def deployed(stage: StageOf) -> Deployed:
    listed = Path(stage.project, f".chalice/deployed/{STAGE}.json").read_text(encoding="utf-8")
    return Deployed.of(json.loads(listed))


def test_what_chalice_cannot_set_is_found_missing_set_and_found(stage: StageOf) -> None:
    settings = stage.settings(stage.outputs())
    missing = settings.differences()
    assert "ingest_events MaximumRetryAttempts: None, but should be 1000" in missing
    assert "sync_campaigns ReservedConcurrentExecutions: None, but should be 1" in missing
    # Pinpoint is off unless it is asked for.
    assert not [one for one in missing if one.startswith("tag_users permission")]
    settings.apply()
    assert settings.differences() == FORGOTTEN
    # Again, and nothing happens.
    settings.apply()
    assert stage.deploy_data({}) == stage.outputs()
    assert settings.differences() == FORGOTTEN


def test_what_somebody_changed_is_found_and_set_again(stage: StageOf) -> None:
    settings = stage.settings(stage.outputs())
    settings.apply()
    mapping = deployed(stage).mappings["sync_campaigns"]
    Session().client("lambda").update_event_source_mapping(UUID=mapping, MaximumRetryAttempts=3)
    functions = deployed(stage).functions
    Session().client("lambda").put_function_concurrency(
        FunctionName=functions["run_jobs"], ReservedConcurrentExecutions=2
    )
    found = settings.differences()
    assert "sync_campaigns MaximumRetryAttempts: 3, but should be 1000" in found
    assert "run_jobs ReservedConcurrentExecutions: 2, but should be None" in found
    assert len(found) == 3
    settings.apply()
    assert settings.differences() == FORGOTTEN


def test_parameters_of_the_data_stack_reach_the_functions(stage: StageOf) -> None:
    given = {"Pinpoint": "on", "SyncConcurrency": "0", "CognitoUpdatesPerSecond": "5"}
    settings = stage.settings(stage.deploy_data(given))
    missing = settings.differences()
    assert [one for one in missing if one.startswith("tag_users permission: None")]
    settings.apply()
    assert settings.differences() == FORGOTTEN
    told = stage.chalice_config(stage.outputs())["stages"][STAGE]["lambda_functions"]["sync_campaigns"]
    variables = told["environment_variables"]
    assert (variables["PINPOINT_NAMES"], variables["COGNITO_UPDATES_PER_SECOND"]) == ("on", "5")
    # Back, and what Pinpoint might do is taken from it again.
    given = {"Pinpoint": "off", "SyncConcurrency": "1", "CognitoUpdatesPerSecond": "20"}
    settings = stage.settings(stage.deploy_data(given))
    assert [one for one in settings.differences() if "permission" in one and one.endswith("but should be None")]
    assert "sync_campaigns ReservedConcurrentExecutions: None, but should be 1" in settings.differences()
    settings.apply()
    assert settings.differences() == FORGOTTEN


def test_the_functions_work_with_the_rights_and_names_of_the_data_stack(stage: StageOf) -> None:
    event = scheduled_event("arn:aws:events:us-east-1:000000000000:rule/due", moment())
    answer: Any = (
        Session()
        .client("lambda")
        .invoke(FunctionName=deployed(stage).functions["expire_campaigns"], Payload=json.dumps(event))
    )
    assert json.loads(answer["Payload"].read()) == {"closed": 0}


def test_a_stage_is_told_all_that_the_template_would_tell_it(stage: StageOf) -> None:
    outputs = stage.outputs()
    variables = stage.chalice_config(outputs)["stages"][STAGE]["environment_variables"]
    assert variables["FACTS_TABLE"] == outputs["FactsTableName"]
    assert variables["POWERTOOLS_SERVICE_NAME"] == stage.stack
    own = stage.chalice_config(outputs)["stages"][STAGE]["lambda_functions"]
    assert own["check_token"]["environment_variables"]["MARKETERS_POOL_ID"] == outputs["MarketersPoolId"]


def test_expressions_become_outputs_and_outputs_values() -> None:
    table = {"Fn::GetAtt": ["FactsTable", "Arn"]}
    value = {"Resource": [table, {"Fn::Sub": "${FactsTable.Arn}/x"}], "Effect": "Allow", "Ref": "two names"}
    assert list(expressions(value)) == [table, {"Fn::Sub": "${FactsTable.Arn}/x"}]
    told = {name: f"told-{number}" for number, name in enumerate(outputs_of(value))}
    assert with_values(value, told) == {"Resource": ["told-0", "told-1"], "Effect": "Allow", "Ref": "two names"}
    # A property that has no value is left out, and an output must have one.
    reserved = {"Fn::If": ["Reserves", 1, {"Ref": "AWS::NoValue"}]}
    assert outputs_of(reserved) == {output_name(reserved): {"Value": {"Fn::If": ["Reserves", 1, "AWS::NoValue"]}}}
    assert with_values({"Reserved": reserved, "Timeout": 1}, {output_name(reserved): "AWS::NoValue"}) == {"Timeout": 1}
    with pytest.raises(KeyError, match=output_name({"Ref": "Other"})):
        with_values({"Ref": "Other"}, told)


def test_what_chalice_cannot_package_is_told(tmp_path: Path) -> None:
    # Catches: its exit code is lost, and what fails is whatever misses the result.
    project = project_copy(tmp_path / "project")
    (project / "app.py").write_text("import nothing_of_that_name\n", encoding="utf-8")
    with pytest.raises(PackagingFailed, match="nothing_of_that_name"):
        package(project, "dev", tmp_path / "output")


def test_a_stage_is_deleted_and_its_data_stays(stage: StageOf) -> None:
    # The last test of the stage.
    functions = Session().client("lambda").list_functions()["Functions"]
    assert len(functions) == len(stage.config["lambda_functions"])
    outputs = stage.outputs()
    stage.delete_functions(outputs)
    assert Session().client("lambda").list_functions()["Functions"] == []
    assert (
        json.loads(Path(stage.project, f".chalice/deployed/{STAGE}.json").read_text(encoding="utf-8"))["resources"]
        == []
    )
    assert stage.outputs() == outputs
    Removal(Session(), stage.stack).delete_stack()
    assert Session().client("dynamodb").list_tables()["TableNames"] == sorted(
        outputs[name] for name in ("FactsTableName", "ViewsTableName")
    )
