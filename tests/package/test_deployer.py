"""The policy for who deploys has what CloudFormation does in the deployer's name, by its own schemas, and no data."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import cfnlint
import pytest

from tests.package.template import Template

PROJECT = Path(__file__).parents[2]
TEXT = (PROJECT / "infra/policies/deploy.json").read_text(encoding="utf-8")
STATEMENTS = json.loads(TEXT)["Statement"]

OF_THE_ACCOUNT = {"AWS::ApiGateway::Account"}
"""Only with ApiAccessLogs=own-role, which is for whoever may change the account."""

SERVICES = {"AWS::ApiGateway": "apigateway", "AWS::Cognito": "cognito-idp", "AWS::CloudWatch": "cloudwatch"}
"""Prefixes of actions, where they are not the service's name in lower case."""

UNUSED = {
    # What a type can do that the template's resources do not.
    "AWS::ApiGateway::RestApi": r"UpdateRestApiPolicy",
    "AWS::Cognito::UserPoolClient": r"Secret",
    "AWS::DynamoDB::Table": r"Replica|Import|Kinesis|Item$|Query|Scan|(Put|Delete)Res|UpdateContributor",
    "AWS::IAM::ManagedPolicy": r"(User|Group)Policy",
    "AWS::IAM::Role": r"PermissionsBoundary",
    "AWS::Kinesis::Stream": r"EnhancedMonitoring|UpdateMax|StreamMode|WarmThroughput|RecordDistribution|ResourcePolicy",
    "AWS::Lambda::Function": r"CapacityProvider|LayerVersion|RuntimeAlias",
    "AWS::Logs::LogGroup": r"KmsKey|LogDelivery|(Put|Delete)(Data|Res)|IndexPolicy$|Bearer",
    "AWS::S3::Bucket": r"Object(Acl)?$|Metadata.*Table|Annotation",
}
"""By type, what of its schema's permissions the deployer need not have."""


@cache
def permissions() -> dict[str, set[str]]:
    """What CloudFormation does for a type, in the name of who deploys: its provider's schema says it."""
    found: dict[str, set[str]] = {}
    for path in (Path(cfnlint.__file__).parent / "data/schemas/resources").glob("*.json"):
        schema = json.loads(path.read_text(encoding="utf-8"))
        handlers = schema.get("handlers", {}).values()
        found.setdefault(schema.get("typeName", ""), set()).update(
            action for one in handlers for action in one.get("permissions", ())
        )
    return found


def needed(kind: str) -> Iterator[str]:
    """Of a type, the actions of its own service that the deployment may take."""
    service = SERVICES.get(kind.rpartition("::")[0], kind.split("::")[1].lower())
    for action in permissions()[kind]:
        prefix, _, name = action.partition(":")
        if prefix == service and not re.search(UNUSED.get(kind, r"$^"), name):
            yield action


def allowed(action: str) -> bool:
    lists = (one["Action"] if isinstance(one["Action"], list) else [one["Action"]] for one in STATEMENTS)
    return any(fnmatchcase(action.lower(), pattern.lower()) for patterns in lists for pattern in patterns)


def test_who_deploys_may_make_change_and_delete_all_that_the_template_has(deployed: Template) -> None:
    kinds = {one["Type"] for one in deployed.values()} - OF_THE_ACCOUNT
    assert len(kinds) > 10
    missing = {(kind, action) for kind in kinds for action in needed(kind) if not allowed(action)}
    assert missing == set()


@pytest.mark.parametrize(
    "action",
    [
        *("dynamodb:GetItem", "dynamodb:Query", "dynamodb:Scan", "dynamodb:PutItem", "dynamodb:DeleteItem"),
        *("kinesis:GetRecords", "kinesis:PutRecord", "kinesis:PutRecords", "sqs:ReceiveMessage", "sqs:SendMessage"),
        *("lambda:InvokeFunction", "logs:GetLogEvents", "logs:FilterLogEvents", "s3:PutObjectAcl"),
        *("cognito-idp:AdminGetUser", "cognito-idp:ListUsers", "cognito-idp:AdminAddUserToGroup"),
        *("iam:CreateUser", "iam:CreateAccessKey", "iam:AttachUserPolicy", "iam:CreateServiceLinkedRole"),
    ],
)
def test_who_deploys_sees_no_data_and_makes_no_users(action: str) -> None:
    assert not allowed(action)


def test_objects_are_read_in_the_artifacts_bucket_only() -> None:
    holders = [one["Sid"] for one in STATEMENTS if "s3:GetObject" in one["Action"]]
    assert holders == ["Package"]


def test_rights_are_by_the_stack_s_name_where_aws_knows_one() -> None:
    everywhere = [one["Sid"] for one in STATEMENTS if one["Resource"] == "*"]
    # A template has no name; mappings have ids that Lambda chooses; lists and new pools have no resource.
    assert everywhere == ["Template", "EventSources", "Find"]
    roles, given = (next(one for one in STATEMENTS if one["Sid"] == sid) for sid in ("Roles", "GiveRoles"))
    assert all("STACK-" in resource for resource in (*roles["Resource"], given["Resource"]))
    assert given["Condition"] == {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}


def test_the_document_fits_a_managed_policy() -> None:
    # IAM counts no white space; the placeholders may grow.
    assert len(re.sub(r"\s", "", TEXT)) < 5_500
    assert {*re.findall(r"\b(?:REGION|ACCOUNT|STACK|BUCKET)\b", TEXT)} == {"REGION", "ACCOUNT", "STACK", "BUCKET"}
