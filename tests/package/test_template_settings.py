"""The packaged template's settings that nobody would miss until it is too late: what is kept, encrypted, closed, named.

``test_package.py`` has those that the code relies on, ``test_watch.py`` logs and alarms.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.package.template import EVENT_STREAM_ARN, FUNCTIONS, Template, mapping

DAY_S = 86_400
TABLES = ("FactsTable", "ViewsTable")
BUCKETS = ("QuarantineBucket", "ExportBucket")
POOLS = ("CustomerPool", "MarketersPool")

EVENT_STREAM_NAME = {
    "Fn::If": [
        "MakesEventStream",
        {"Ref": "EventStream"},
        {"Fn::Select": [1, {"Fn::Split": ["/", {"Ref": "ExistingEventStreamArn"}]}]},
    ]
}

NAMED_BY = {
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::CloudWatch::Dashboard": "DashboardName",
    "AWS::Cognito::UserPool": "UserPoolName",
    "AWS::Cognito::UserPoolClient": "ClientName",
    "AWS::DynamoDB::Table": "TableName",
    "AWS::Events::Rule": "Name",
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
    "AWS::IAM::Role": "RoleName",
    "AWS::Kinesis::Stream": "Name",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::S3::Bucket": "BucketName",
    "AWS::SQS::Queue": "QueueName",
}
"""The property that gives a resource a name which is unique in the account (and region)."""

NAMELESS = {
    "AWS::ApiGateway::Account",
    "AWS::ApiGateway::Deployment",
    "AWS::ApiGateway::RestApi",
    "AWS::ApiGateway::Stage",
    "AWS::Cognito::UserPoolGroup",
    "AWS::Lambda::EventSourceMapping",
    "AWS::Lambda::Permission",
    "AWS::S3::BucketPolicy",
}
"""Resources without a name, or with one that is unique within another resource of the stack only."""


@pytest.fixture(scope="module")
def sam(built: Path) -> Template:
    """The whole template, before the transform."""
    template: Template = json.loads((built / "sam.json").read_text(encoding="utf-8"))
    return template


def of_type(deployed: Template, kind: str) -> dict[str, Template]:
    return {id_: one for id_, one in deployed.items() if one["Type"] == kind}


# --- what is kept ---


def test_only_these_are_tables_buckets_and_pools(deployed: Template) -> None:
    # So that the tests below miss none.
    assert set(of_type(deployed, "AWS::DynamoDB::Table")) == set(TABLES)
    assert set(of_type(deployed, "AWS::S3::Bucket")) == set(BUCKETS)
    assert set(of_type(deployed, "AWS::Cognito::UserPool")) == set(POOLS)


@pytest.mark.parametrize("table", TABLES)
def test_tables_are_on_demand_encrypted_recoverable_and_protected(deployed: Template, table: str) -> None:
    properties = deployed[table]["Properties"]
    assert properties["BillingMode"] == "PAY_PER_REQUEST"
    assert properties["SSESpecification"] == {"SSEEnabled": True}
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert properties["DeletionProtectionEnabled"] is True
    assert properties["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}
    # The projection and the sync read the new image; an erasure and a replay are told apart by the old one.
    assert properties["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}


def test_what_cannot_be_made_again_outlives_the_stack(deployed: Template) -> None:
    kept = {id_ for id_, one in deployed.items() if "DeletionPolicy" in one}
    # API Gateway's role for logs is the account's, whichever stack made it.
    assert kept == {*TABLES, *POOLS, "QuarantineBucket", "ApiLogRole", "ApiLogAccount"}
    assert kept == {id_ for id_, one in deployed.items() if one.get("UpdateReplacePolicy") == "Retain"}
    # CloudFormation cannot delete what is protected from it; the bucket goes with a first deployment that fails.
    on_create = {id_ for id_ in kept if deployed[id_]["DeletionPolicy"] == "RetainExceptOnCreate"}
    assert on_create == {"QuarantineBucket"}


@pytest.mark.parametrize("pool", POOLS)
def test_user_pools_are_protected(deployed: Template, pool: str) -> None:
    assert deployed[pool]["Properties"]["DeletionProtection"] == "ACTIVE"


# --- the event stream ---


def test_the_stream_of_the_stack_keeps_a_week_encrypted(deployed: Template) -> None:
    stream = deployed["EventStream"]
    assert stream["Condition"] == "MakesEventStream"
    assert stream["Properties"] == {
        "ShardCount": {"Ref": "ShardCount"},
        "RetentionPeriodHours": 7 * 24,
        "StreamEncryption": {"EncryptionType": "KMS", "KeyId": "alias/aws/kinesis"},
    }


def test_a_stream_that_is_there_may_be_named_instead(sam: Template) -> None:
    parameter = sam["Parameters"]["ExistingEventStreamArn"]
    assert parameter["Default"] == ""
    assert sam["Conditions"]["MakesEventStream"] == {"Fn::Equals": [{"Ref": "ExistingEventStreamArn"}, ""]}
    assert sam["Outputs"]["EventStreamArn"]["Value"] == EVENT_STREAM_ARN
    assert sam["Outputs"]["EventStreamName"]["Value"] == EVENT_STREAM_NAME
    for arn in ("", "arn:aws:kinesis:eu-west-1:123456789012:stream/my-events.v2"):
        assert re.fullmatch(parameter["AllowedPattern"], arn)
    for wrong in ("my-events", "arn:aws:firehose:eu-west-1:123456789012:deliverystream/x"):
        assert not re.fullmatch(parameter["AllowedPattern"], wrong)


def bare_mentions(value: Any, name: str) -> Iterator[Any]:
    """Where a resource is referred to though a condition may leave it out."""
    if isinstance(value, str):
        yield from re.findall(rf"\$\{{{name}(?:\.\w+)?\}}", value)
    elif isinstance(value, list):
        for one in value:
            yield from bare_mentions(one, name)
    elif isinstance(value, dict):
        if value in (EVENT_STREAM_ARN, EVENT_STREAM_NAME):
            return
        target = value.get("Ref", value.get("Fn::GetAtt"))
        if target == name or (isinstance(target, list) and target[0] == name):
            yield value
        for one in value.values():
            yield from bare_mentions(one, name)


def test_nothing_needs_the_stack_s_own_stream(sam: Template) -> None:
    # CloudFormation refuses a reference to a resource that its condition leaves out, and only then.
    assert list(bare_mentions({"Fn::Sub": "${EventStream.Arn}/*"}, "EventStream"))
    assert list(bare_mentions([{"Ref": "EventStream"}], "EventStream"))
    assert not list(bare_mentions([sam["Resources"], sam["Outputs"]], "EventStream"))


# --- functions and what feeds them ---


def test_functions_run_on_one_python_and_answer_before_their_callers_give_up(deployed: Template) -> None:
    properties = {id_: deployed[id_]["Properties"] for id_ in FUNCTIONS.values()}
    assert {one["Runtime"] for one in properties.values()} == {"python3.13"}
    # API Gateway gives up after 29 seconds, and the rule runs each minute.
    assert properties["APIHandler"]["Timeout"] < 29
    assert properties["ExpireCampaigns"]["Timeout"] <= 60
    # A full batch takes less than 256 MB (tests/projection/test_cost.py): half is left for what is unusual.
    assert min(properties[id_]["MemorySize"] for id_ in ("IngestEvents", "ProjectFacts")) >= 512


@pytest.mark.parametrize(
    ("function", "batch", "window_s", "at_once"),
    [("IngestEvents", 1_000, 1, 2), ("ProjectFacts", 1_000, 1, 1), ("SyncCampaigns", 100, 2, 1)],
)
def test_batches_are_large_and_wait_little(
    deployed: Template, function: str, batch: int, window_s: int, at_once: int
) -> None:
    settings = mapping(deployed, function)
    assert settings["BatchSize"] == batch
    assert settings["MaximumBatchingWindowInSeconds"] == window_s
    # Ingestion may: order does not matter to facts. The others must not (one user, one writer).
    assert settings["ParallelizationFactor"] == at_once


def test_every_mapping_of_a_stream_says_where_what_it_gives_up_on_goes(deployed: Template) -> None:
    mappings = [one["Properties"] for one in of_type(deployed, "AWS::Lambda::EventSourceMapping").values()]
    of_streams = [one for one in mappings if "StartingPosition" in one]
    assert (len(mappings), len(of_streams)) == (4, 3)
    for settings in of_streams:
        queue = settings["DestinationConfig"]["OnFailure"]["Destination"]["Fn::GetAtt"][0]
        role = deployed[settings["FunctionName"]["Ref"]]["Properties"]["Role"]["Fn::GetAtt"][0]
        (policy,) = deployed[role]["Properties"]["Policies"]
        # Lambda tells the queue by the function's role; without the right it would drop the records in silence.
        sending = [one for one in policy["PolicyDocument"]["Statement"] if one["Action"] == ["sqs:SendMessage"]]
        assert [one["Resource"] for one in sending] == [{"Fn::GetAtt": [queue, "Arn"]}]


def test_the_projection_is_not_called_for_what_expires_and_its_window_is_the_longest(deployed: Template) -> None:
    settings = mapping(deployed, "ProjectFacts")
    (only,) = settings["FilterCriteria"]["Filters"]
    assert json.loads(only["Pattern"]) == {"eventName": ["INSERT", "MODIFY"]}
    assert settings["TumblingWindowInSeconds"] == 900
    # A record of the event stream is told by its content only once it is decoded: all come.
    assert "FilterCriteria" not in mapping(deployed, "IngestEvents")


def test_pinpoint_is_off_unless_it_is_asked_for(sam: Template) -> None:
    parameter = sam["Parameters"]["Pinpoint"]
    assert (parameter["Default"], parameter["AllowedValues"]) == ("off", ["off", "on"])
    assert sam["Conditions"]["UsesPinpoint"] == {"Fn::Equals": [{"Ref": "Pinpoint"}, "on"]}
    # Whatever names the service stands under that condition.
    naming = {id_ for id_, one in sam["Resources"].items() if re.search(r"pinpoint|mobiletargeting", json.dumps(one))}
    assert naming == {"TagUsersInvokePermission", "SyncCampaignsRole"}
    assert sam["Resources"]["TagUsersInvokePermission"]["Condition"] == "UsesPinpoint"
    (policy,) = sam["Resources"]["SyncCampaignsRole"]["Properties"]["Policies"]
    statements = [one for one in policy["PolicyDocument"]["Statement"] if "mobiletargeting" in json.dumps(one)]
    assert [one["Effect"] for one in statements] == [{"Fn::If": ["UsesPinpoint", "Allow", "Deny"]}]
    variables = sam["Resources"]["SyncCampaigns"]["Properties"]["Environment"]["Variables"]
    assert variables["PINPOINT_NAMES"] == {"Ref": "Pinpoint"}


def test_the_account_s_role_for_logs_is_overwritten_only_by_request(sam: Template) -> None:
    parameter = sam["Parameters"]["ApiAccessLogs"]
    assert (parameter["Default"], parameter["AllowedValues"]) == ("none", ["none", "account-role", "own-role"])
    for id_ in ("ApiLogRole", "ApiLogAccount"):
        assert sam["Resources"][id_]["Condition"] == "MakesApiLogRole"


def test_pinpoint_calls_the_journey_step_for_applications_of_this_account_and_region(deployed: Template) -> None:
    assert deployed["TagUsersInvokePermission"]["Properties"] == {
        "Action": "lambda:InvokeFunction",
        "FunctionName": {"Ref": "TagUsers"},
        "Principal": {"Fn::Sub": "pinpoint.${AWS::Region}.amazonaws.com"},
        "SourceAccount": {"Ref": "AWS::AccountId"},
        "SourceArn": {"Fn::Sub": "arn:${AWS::Partition}:mobiletargeting:${AWS::Region}:${AWS::AccountId}:apps/*"},
    }


# --- buckets and queues ---


@pytest.mark.parametrize(("bucket", "days"), [("QuarantineBucket", 90), ("ExportBucket", 30)])
def test_buckets_are_private_encrypted_forget_and_speak_tls_only(deployed: Template, bucket: str, days: int) -> None:
    properties = deployed[bucket]["Properties"]
    assert properties["PublicAccessBlockConfiguration"] == {
        "BlockPublicAcls": True,
        "BlockPublicPolicy": True,
        "IgnorePublicAcls": True,
        "RestrictPublicBuckets": True,
    }
    assert properties["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    (encryption,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption == {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    (rule,) = properties["LifecycleConfiguration"]["Rules"]
    # Without a prefix the rule is for all objects.
    assert set(rule) == {"Id", "Status", "ExpirationInDays", "AbortIncompleteMultipartUpload"}
    assert (rule["Status"], rule["ExpirationInDays"]) == ("Enabled", days)
    policies = of_type(deployed, "AWS::S3::BucketPolicy").values()
    (policy,) = (one["Properties"] for one in policies if one["Properties"]["Bucket"] == {"Ref": bucket})
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert statement["Resource"] == [{"Fn::GetAtt": [bucket, "Arn"]}, {"Fn::Sub": f"${{{bucket}.Arn}}/*"}]


def test_queues_are_encrypted_and_what_failed_waits_fourteen_days(deployed: Template) -> None:
    queues = {id_: one["Properties"] for id_, one in of_type(deployed, "AWS::SQS::Queue").items()}
    assert {one.get("SqsManagedSseEnabled") for one in queues.values()} == {True}
    failures = {id_: one["MessageRetentionPeriod"] for id_, one in queues.items() if id_.endswith("Failures")}
    names = ("IngestFailures", "ProjectFailures", "SyncFailures", "JobFailures")
    assert failures == dict.fromkeys(names, 14 * DAY_S)


# --- users ---


def test_the_customers_campaign_is_an_attribute_that_can_change(deployed: Template) -> None:
    properties = deployed["CustomerPool"]["Properties"]
    (attribute,) = properties["Schema"]
    assert (attribute["Name"], attribute["AttributeDataType"], attribute["Mutable"]) == ("campaign", "String", True)
    # Pinpoint's user attribute is compared letter by letter.
    assert properties["UsernameConfiguration"] == {"CaseSensitive": True}


def test_marketers_sign_in_without_giving_their_password_away(deployed: Template) -> None:
    pool = deployed["MarketersPool"]["Properties"]
    (client,) = (one["Properties"] for one in of_type(deployed, "AWS::Cognito::UserPoolClient").values())
    assert (pool["MfaConfiguration"], pool["EnabledMfas"]) == ("OPTIONAL", ["SOFTWARE_TOKEN_MFA"])
    assert pool["Policies"]["PasswordPolicy"]["MinimumLength"] >= 14
    # Passwords as such only by somebody with rights in the account (ADMIN), else SRP.
    flows = {"ALLOW_USER_SRP_AUTH", "ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"}
    assert set(client["ExplicitAuthFlows"]) == flows
    assert client["GenerateSecret"] is False
    assert client["PreventUserExistenceErrors"] == "ENABLED"
    assert client["EnableTokenRevocation"] is True


# --- two stages in one account, two commands ---


def test_no_resource_has_a_fixed_name(deployed: Template) -> None:
    # One made of the stack's name is fixed, too: what outlives a stack would be in the next one's way.
    for id_, resource in deployed.items():
        kind = resource["Type"]
        assert kind in NAMED_BY or kind in NAMELESS, f"does {kind} have a name?"
        assert NAMED_BY.get(kind) not in resource.get("Properties", {}), id_


def test_several_apis_may_have_one_name(deployed: Template) -> None:
    # The name of an API is a label: alarms find its metrics by it, and API Gateway tells APIs apart by their ids.
    (api,) = (one["Properties"] for one in of_type(deployed, "AWS::ApiGateway::RestApi").values())
    assert api["Name"] == {"Ref": "AWS::StackName"}


def test_a_stack_needs_no_parameter_and_each_says_what_it_is(sam: Template) -> None:
    assert set(sam["Parameters"]) == {
        "AlarmTopicArn",
        "ApiAccessLogs",
        "CampaignAttributes",
        "CognitoUpdatesPerSecond",
        "ExistingEventStreamArn",
        "MarketersTokenHours",
        "OtherCustomerPools",
        "Pinpoint",
        "ShardCount",
        "SyncConcurrency",
    }
    for name, parameter in sam["Parameters"].items():
        assert "Default" in parameter, name
        assert parameter["Description"], name


def test_the_outputs_are_what_the_guide_asks_for(sam: Template) -> None:
    guide = (Path(__file__).parents[2] / "docs/guide.md").read_text(encoding="utf-8")
    asked = set(re.findall(r"\boutput ([A-Z]\w+)", guide))
    assert asked >= {"EndpointURL", "EventStreamName", "MarketersPoolId", "MarketersClientId"}
    assert asked <= set(sam["Outputs"])
    for queue in ("IngestFailures", "ProjectFailures", "SyncFailures", "JobFailures", "Jobs"):
        assert sam["Outputs"][f"{queue}Arn"] == {"Value": {"Fn::GetAtt": [queue, "Arn"]}}
    for function in FUNCTIONS.values():
        assert sam["Outputs"][f"{function}Name"] == {"Value": {"Ref": function}}
        group = "ApiHandlerLogs" if function == "APIHandler" else f"{function}Logs"
        assert sam["Outputs"][f"{group.removesuffix('s')}Group"] == {"Value": {"Ref": group}}
    assert set(re.findall(r"\| `([A-Z]\w+)` \|", guide)) == set(sam["Parameters"])


def test_the_stage_that_is_deployed_is_traced_logged_and_throttled(deployed: Template) -> None:
    (stage,) = (one["Properties"] for one in of_type(deployed, "AWS::ApiGateway::Stage").values())
    assert stage["TracingEnabled"] is True
    condition, log, none = stage["AccessLogSetting"]["Fn::If"]
    assert condition == "HasApiAccessLog"
    assert log["DestinationArn"] == {"Fn::GetAtt": ["ApiAccessLog", "Arn"]}
    assert none == {"Ref": "AWS::NoValue"}
    assert stage["MethodSettings"]
