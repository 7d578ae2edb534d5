"""The data stack of a stage that ``chalice deploy`` deploys: tables, stream, buckets, queues, pools and log groups."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, WaiterError

from infra.expressions import outputs_of

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

Json = dict[str, Any]

LOGS = "AWS::Logs::LogGroup"
UNCHANGED = "No updates are to be performed"


class StackFailed(Exception):
    """CloudFormation did not make or change the stack; the message names the stack and holds its reasons."""


def read(project: Path, name: str) -> Json:
    """One of the project's JSON files."""
    content: Json = json.loads((project / name).read_text(encoding="utf-8"))
    return content


def policies(project: Path) -> dict[str, Json]:
    """The functions' policies, by file name."""
    folder = ".chalice/policies"
    return {path.name: read(project, f"{folder}/{path.name}") for path in sorted((project / folder).glob("*.json"))}


def needed(functions: Mapping[str, Any]) -> Json:
    """What of ``infra/functions.json`` is set on functions, whose values the data stack must tell."""
    resources = functions["Resources"]
    permission = resources["TagUsersInvokePermission"]
    return {
        "Globals": functions["Globals"],
        # The log group by its name: each function is told it.
        "Resources": {id_: one["Properties"] for id_, one in resources.items() if "Type" not in one},
        "Permission": {name: permission["Properties"][name] for name in ("Principal", "SourceAccount", "SourceArn")},
        "Permitted": {"Fn::If": [permission["Condition"], "yes", "no"]},
    }


def template(project: Path) -> Json:
    """``infra/data.json`` with the functions' log groups, and outputs that tell what the functions need of it."""
    data, functions = read(project, "infra/data.json"), read(project, "infra/functions.json")
    logs = {id_: one for id_, one in functions["Resources"].items() if one.get("Type") == LOGS}
    groups = {id_: one for id_, one in functions["Outputs"].items() if one["Value"].get("Ref") in logs}
    told = outputs_of([needed(functions), list(policies(project).values())])
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        **data,
        "Resources": {**data["Resources"], **logs},
        "Outputs": {**data["Outputs"], **groups, **told},
    }


def deploy(client: CloudFormationClient, project: Path, name: str, parameters: Mapping[str, str]) -> dict[str, str]:
    """Make the stack or change it to what the project says; its outputs.

    Raises
    ------
    StackFailed
        With CloudFormation's reasons.
    """
    arguments: Json = {
        "StackName": name,
        "TemplateBody": json.dumps(template(project), separators=(",", ":")),
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
    }
    if exists(client, name):
        # Parameters that are not given keep what an earlier deployment gave them.
        kept = {one["ParameterKey"] for one in _stack(client, name).get("Parameters", ())} - set(parameters)
        known = template(project).get("Parameters", {})
        arguments["Parameters"] += [
            {"ParameterKey": key, "UsePreviousValue": True} for key in sorted(kept) if key in known
        ]
        try:
            client.update_stack(**arguments)
        except ClientError as error:
            if UNCHANGED not in str(error):
                raise StackFailed(f"{name}: {error}") from error
            return outputs(client, name)
        _wait(client, name, "stack_update_complete")
    else:
        client.create_stack(**arguments)
        _wait(client, name, "stack_create_complete")
    return outputs(client, name)


def exists(client: CloudFormationClient, name: str) -> bool:
    """Whether there is such a stack."""
    try:
        return bool(client.describe_stacks(StackName=name)["Stacks"])
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") == "ValidationError":
            return False
        raise


def outputs(client: CloudFormationClient, name: str) -> dict[str, str]:
    """A stack's outputs by name."""
    return {one["OutputKey"]: one["OutputValue"] for one in _stack(client, name).get("Outputs", ())}


def _stack(client: CloudFormationClient, name: str) -> Json:
    found: Any = client.describe_stacks(StackName=name)["Stacks"][0]
    stack: Json = found
    return stack


def _wait(client: CloudFormationClient, name: str, waiter: Any) -> None:
    try:
        client.get_waiter(waiter).wait(StackName=name, WaiterConfig={"Delay": 2, "MaxAttempts": 900})
    except WaiterError as error:
        raise StackFailed(f"{name}: {failures(client, name) or error}") from error


def failures(client: CloudFormationClient, name: str) -> str:
    """CloudFormation's reasons for what failed in a stack, by its name or id."""
    events = client.describe_stack_events(StackName=name)["StackEvents"]
    return "; ".join(
        f"{one.get('LogicalResourceId')}: {one['ResourceStatusReason']}"
        for one in events
        if one.get("ResourceStatus", "").endswith("FAILED") and "ResourceStatusReason" in one
    )
