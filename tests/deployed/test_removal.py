"""A first deployment that fails may be tried again, and a stack is deleted with its objects, its data, or both kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from boto3.session import Session
from botocore.exceptions import ClientError
from typer.testing import CliRunner

from infra import remove
from local.environment import isolated, process_environment
from local.ministack import MiniStack, running_ministack
from tests.deployed.deployment import Deployment, DeploymentFailed, build

KEPT = {"FactsTable", "ViewsTable", "CustomerPool", "MarketersPool", "QuarantineBucket"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package."""
    return build(tmp_path_factory.mktemp("removed"))


@pytest.fixture
def ministack() -> Iterator[MiniStack]:
    """An account where nothing is deployed."""
    with process_environment(isolated({})), running_ministack() as running, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", running.endpoint)
        patch.setenv("AWS_ACCESS_KEY_ID", "local")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "local")
        patch.setenv("AWS_DEFAULT_REGION", running.region)
        yield running


def run(*arguments: str) -> str:
    outcome = CliRunner().invoke(remove.app, arguments, catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output
    return outcome.output


def left(deployment: Deployment) -> dict[str, list[str]]:
    """What there is in the account that a stack might have made."""
    return {
        "tables": deployment.client("dynamodb").list_tables()["TableNames"],
        "buckets": [
            one["Name"] for one in deployment.client("s3").list_buckets()["Buckets"] if one["Name"] != "artifacts"
        ],
        "pools": [one["Id"] for one in deployment.client("cognito-idp").list_user_pools(MaxResults=60)["UserPools"]],
        "queues": deployment.client("sqs").list_queues().get("QueueUrls", []),
        "streams": deployment.client("kinesis").list_streams()["StreamNames"],
        "functions": [one["FunctionName"] for one in deployment.client("lambda").list_functions()["Functions"]],
        "logs": [one["logGroupName"] for one in deployment.client("logs").describe_log_groups()["logGroups"]],
    }


def put_objects(deployment: Deployment) -> None:
    """More than a page of exports, and a quarantined batch."""
    s3 = deployment.client("s3")
    for number in range(3):
        s3.put_object(Bucket=deployment.outputs["ExportBucketName"], Key=f"exports/shop/{number}.csv", Body=b"x")
    s3.create_multipart_upload(Bucket=deployment.outputs["ExportBucketName"], Key="exports/shop/half.csv")
    s3.put_object(Bucket=deployment.outputs["QuarantineBucketName"], Key="quarantine/kinesis/1.ndjson", Body=b"x")


def test_after_a_first_deployment_that_failed_the_next_one_succeeds(ministack: MiniStack, folder: Path) -> None:
    deployment = Deployment(ministack, folder, "first")
    with pytest.raises(DeploymentFailed):
        deployment.deploy({"ViewersGroup": {"UserPoolId": "us-east-1_nosuchpool"}})
    state = deployment.client("cloudformation").describe_stacks(StackName="first")["Stacks"][0]["StackStatus"]
    assert state == "ROLLBACK_COMPLETE"
    # Tables and pools are protected from deletion, also from this one.
    found = left(deployment)
    assert {kind for kind, names in found.items() if names} == {"tables", "pools"}
    deployment.client("cloudformation").delete_stack(StackName="first")
    again = Deployment(ministack, folder, "first")
    again.deploy()
    assert again.resources["RestAPI"]


def test_what_a_failed_first_deployment_leaves_is_deleted(ministack: MiniStack, folder: Path) -> None:
    deployment = Deployment(ministack, folder, "first")
    with pytest.raises(DeploymentFailed):
        deployment.deploy({"ViewersGroup": {"UserPoolId": "us-east-1_nosuchpool"}})
    run("first", "--yes", "--with-data")
    assert not any(left(deployment).values())


def test_without_yes_nothing_is_deleted(ministack: MiniStack, folder: Path) -> None:
    deployment = Deployment(ministack, folder, "second")
    deployment.deploy()
    put_objects(deployment)
    before = left(deployment)
    said = run("second")
    assert "Nothing is deleted" in said
    assert deployment.resources["FactsTable"] in said
    assert left(deployment) == before


def test_a_stack_goes_with_its_exports_and_its_data_stays(ministack: MiniStack, folder: Path) -> None:
    deployment = Deployment(ministack, folder, "third")
    deployment.deploy()
    put_objects(deployment)
    kept = {id_: name for id_, name in deployment.resources.items() if id_ in KEPT}
    id_ = deployment.client("cloudformation").describe_stacks(StackName="third")["Stacks"][0]["StackId"]
    said = run("third", "--yes")
    assert {line.split()[2] for line in said.splitlines() if line.startswith("kept")} == KEPT
    found = left(deployment)
    assert set(found["tables"]) == {kept["FactsTable"], kept["ViewsTable"]}
    assert set(found["pools"]) == {kept["CustomerPool"], kept["MarketersPool"]}
    assert found["buckets"] == [kept["QuarantineBucket"]]
    assert not any(found[kind] for kind in ("queues", "streams", "functions", "logs"))
    listed: Any = deployment.client("s3").list_objects_v2(Bucket=kept["QuarantineBucket"])
    assert listed["KeyCount"] == 1
    # Later, by the id of the stack that is gone, and again.
    for _ in range(2):
        run(id_, "--yes", "--with-data")
        assert not any(left(deployment).values())


def test_a_stack_that_is_not_there_is_said(ministack: MiniStack) -> None:
    outcome = CliRunner().invoke(remove.app, ["no-such-stack", "--yes"])
    assert outcome.exit_code == 1
    with pytest.raises(ClientError, match="no-such-stack"):
        remove.Removal(Session(), "no-such-stack")
