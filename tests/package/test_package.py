"""What gets deployed, built exactly as ``make package`` builds it: the zip's contents and the template's guarantees.

The template is checked after the real SAM transform, as CloudFormation would see it.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from cfnlint import ManualArgs
from cfnlint.api import lint

from chalicelib.api.access import CACHED_S
from chalicelib.campaigns.cognito import DEFAULT_RATE, QUOTA
from chalicelib.functions import RUN_JOBS_MS, SYNC_MS
from chalicelib.jobs.runner import RECEIVES, RESERVE_MS, SILENCE_MS
from chalicelib.jobs.store import KEPT_DAYS
from tests.package.template import EVENT_STREAM_ARN, FUNCTIONS, Template, mapping

PROJECT = Path(__file__).parents[2]
CONFIG = json.loads((PROJECT / ".chalice/config.json").read_text(encoding="utf-8"))

LARGEST_ZIP = 8_000_000
"""Bytes, of which cryptography is 5 million. Chalice or boto3 in requirements.in would add 15 to 22 million."""

SHIPPED = {
    "app.py": "the handlers and routes",
    "chalicelib": "the application",
    "chalice": "Chalice's runtime, which Chalice adds by itself",
    "msgspec": "requirements.in",
    "aws_lambda_powertools": "requirements.in",
    "joserfc": "requirements.in",
    "cryptography": "requirements.in",
    "cffi": "comes with cryptography",
    "_cffi_backend.cpython-313-aarch64-linux-gnu.so": "comes with cryptography",
    "pycparser": "comes with cryptography",
    "tzdata": "requirements.in",
    "jmespath": "comes with Powertools",
    "typing_extensions.py": "comes with Powertools",
}

ELF_AARCH64 = 183

LAMBDA_RUNTIME = {"boto3", "botocore"}
"""Libraries that Lambda's Python brings."""


@pytest.fixture(scope="module")
def shipped(built: Path) -> list[str]:
    """Paths of the files in the zip."""
    with ZipFile(built / "deployment.zip") as archive:
        return [name for name in archive.namelist() if not name.endswith("/")]


# --- the zip ---


def test_the_zip_holds_the_application_its_libraries_and_nothing_else(shipped: list[str]) -> None:
    # Not boto3, pytest, moto, ministack, local or tests, nor anything that a new dependency would bring along unseen.
    modules = {name.split("/")[0] for name in shipped}
    assert {name for name in modules if not name.endswith((".dist-info", ".data"))} == set(SHIPPED)


def test_the_zip_holds_all_of_the_application_and_no_caches(shipped: list[str]) -> None:
    sources = {str(path.relative_to(PROJECT)) for path in (PROJECT / "chalicelib").rglob("*.py")}
    assert {name for name in shipped if name.startswith("chalicelib/") and name.endswith(".py")} == sources
    assert not [name for name in shipped if "__pycache__" in name or name.endswith(".pyc") or "_cache/" in name]


def test_of_chalice_only_the_runtime_is_shipped(shipped: list[str]) -> None:
    assert {name for name in shipped if name.startswith("chalice/")} == {"chalice/__init__.py", "chalice/app.py"}


def test_the_zip_is_small(built: Path) -> None:
    assert (built / "deployment.zip").stat().st_size < LARGEST_ZIP


def test_compiled_libraries_are_for_lambda_s_arm64_and_not_for_this_machine(built: Path, shipped: list[str]) -> None:
    compiled = [name for name in shipped if name.endswith(".so")]
    assert compiled
    with ZipFile(built / "deployment.zip") as archive:
        # The machine that an ELF file is for stands in its header; not every name says it.
        machines = {name: int.from_bytes(archive.read(name)[18:20], "little") for name in compiled}
    assert machines == dict.fromkeys(compiled, ELF_AARCH64)


def imported(source: Path) -> Iterator[str]:
    """Modules that a file imports when it runs, so not those that only its types need."""
    pending: list[ast.AST] = [ast.parse(source.read_text(encoding="utf-8"))]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        pending.extend(ast.iter_child_nodes(node))


def test_whatever_the_application_imports_is_there_in_lambda() -> None:
    # Here every development dependency is installed, so a wrong import would first fail in Lambda.
    available = sys.stdlib_module_names | LAMBDA_RUNTIME | {name.removesuffix(".py") for name in SHIPPED}
    sources = [PROJECT / "app.py", *(PROJECT / "chalicelib").rglob("*.py")]
    names = {(str(source.relative_to(PROJECT)), name) for source in sources for name in imported(source)}
    assert not {(source, name) for source, name in names if name.split(".")[0] not in available}
    assert {name for _, name in names if name.startswith("chalice.")} <= {"chalice.app"}


# --- the template ---


def test_the_template_follows_cloudformation_s_schema(built: Path) -> None:
    # Also catches a misspelt logical id in infra/: Chalice's merge makes a new resource without a type of it.
    template = (built / "sam.json").read_text(encoding="utf-8")
    # One region: not all have user pools, and the schema of the rest is the same.
    found = lint(template, config=ManualArgs(regions=["us-east-1"]))
    # Neither errors nor warnings.
    assert not [str(match) for match in found]


VALIDATE = """
from chalice.cli.factory import CLIFactory
from chalice.deploy.validate import validate_configuration
validate_configuration(CLIFactory(".").create_config_obj(chalice_stage_name="dev"))
"""


def test_routes_and_configuration_pass_chalice_s_own_validation() -> None:
    # `chalice package` skips it, and API Gateway would refuse a route that ends in a slash only at deployment.
    # A process of its own, because it imports app.py under this environment, which other tests must not inherit.
    environment = {**os.environ, "AWS_DEFAULT_REGION": "us-east-1"}
    command = [sys.executable, "-c", VALIDATE]
    run = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_every_function_is_configured_and_every_configuration_has_its_function(deployed: Template) -> None:
    # Chalice ignores what it does not know, so a misspelt name would mean 128 MB, a minute and no policy.
    functions = {id_ for id_, resource in deployed.items() if resource["Type"] == "AWS::Lambda::Function"}
    assert functions == set(FUNCTIONS.values())
    assert set(CONFIG["lambda_functions"]) == set(FUNCTIONS)
    for name, id_ in FUNCTIONS.items():
        wanted, properties = CONFIG["lambda_functions"][name], deployed[id_]["Properties"]
        assert properties["Timeout"] == wanted["lambda_timeout"]
        assert properties["MemorySize"] == wanted["lambda_memory_size"]
        assert properties["Architectures"] == ["arm64"]


@pytest.mark.parametrize(
    ("function", "stream", "queue"),
    [
        ("IngestEvents", {"Fn::Sub": ["${Arn}", {"Arn": EVENT_STREAM_ARN}]}, "IngestFailures"),
        ("ProjectFacts", {"Fn::GetAtt": ["FactsTable", "StreamArn"]}, "ProjectFailures"),
        ("SyncCampaigns", {"Fn::GetAtt": ["ViewsTable", "StreamArn"]}, "SyncFailures"),
    ],
)
def test_no_record_of_a_stream_is_lost_unseen(deployed: Template, function: str, stream: Any, queue: str) -> None:
    settings = mapping(deployed, function)
    assert settings["EventSourceArn"] == stream
    # LATEST would lose what is written between the creation of the stack and the mapping's first read.
    assert settings["StartingPosition"] == "TRIM_HORIZON"
    # Without it Lambda takes an answer that names failed records for a success.
    assert settings["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert settings["BisectBatchOnFunctionError"] is True
    # A table that fails for an hour must not use up the attempts; but without an end to them a record that the code
    # fails on would hold up its shard until all behind it has left the stream.
    assert settings["MaximumRetryAttempts"] == 1000
    # A limit of age would discard all that waits behind a long failure.
    assert settings["MaximumRecordAgeInSeconds"] == -1
    assert settings["DestinationConfig"] == {"OnFailure": {"Destination": {"Fn::GetAtt": [queue, "Arn"]}}}


def test_the_projection_knows_its_shard_and_is_its_only_reader(deployed: Template) -> None:
    settings = mapping(deployed, "ProjectFacts")
    # Lambda puts shardId into the event only where there is a tumbling window.
    assert settings["TumblingWindowInSeconds"] > 0
    assert settings["ParallelizationFactor"] == 1


def test_campaigns_of_a_user_are_written_in_order(deployed: Template) -> None:
    assert mapping(deployed, "SyncCampaigns")["ParallelizationFactor"] == 1


def test_cognito_s_quota_has_one_writer_that_leaves_some_of_it(built: Path, deployed: Template) -> None:
    properties = deployed["SyncCampaigns"]["Properties"]
    parameters = json.loads((built / "sam.json").read_text(encoding="utf-8"))["Parameters"]
    # Two instances would each keep to the rate, and both together exceed the account's quota.
    assert properties["ReservedConcurrentExecutions"] == {
        "Fn::If": ["ReservesSyncConcurrency", {"Ref": "SyncConcurrency"}, {"Ref": "AWS::NoValue"}]
    }
    assert parameters["SyncConcurrency"]["Default"] == 1
    rate = properties["Environment"]["Variables"]["COGNITO_UPDATES_PER_SECOND"]
    assert rate == {"Ref": "CognitoUpdatesPerSecond"}
    assert parameters["CognitoUpdatesPerSecond"]["Default"] == DEFAULT_RATE < QUOTA


def test_without_a_context_the_sync_counts_with_the_function_s_own_timeout() -> None:
    assert CONFIG["lambda_functions"]["sync_campaigns"]["lambda_timeout"] * 1000 == SYNC_MS


def test_cognito_hears_of_campaigns_and_journeys_only(deployed: Template) -> None:
    (only,) = mapping(deployed, "SyncCampaigns")["FilterCriteria"]["Filters"]
    pattern = json.loads(only["Pattern"])
    assert pattern["dynamodb"] == {"Keys": {"sk": {"S": ["campaign", {"prefix": "journey#"}]}}}
    assert pattern["eventName"] == ["INSERT", "MODIFY"]


def test_a_job_that_is_killed_comes_again_and_one_that_nobody_can_do_is_put_aside(deployed: Template) -> None:
    settings, queue = mapping(deployed, "RunJobs"), deployed["Jobs"]["Properties"]
    assert settings["EventSourceArn"] == {"Fn::GetAtt": ["Jobs", "Arn"]}
    # A slow job must not hold up another one's message.
    assert settings["BatchSize"] == 1
    # Without it an answer that leaves a message in the queue would delete it.
    assert settings["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    # Reserved concurrency would let Lambda receive messages that it then cannot serve, until they count as failed.
    assert settings["ScalingConfig"] == {"MaximumConcurrency": 5}
    assert "ReservedConcurrentExecutions" not in deployed["RunJobs"]["Properties"]
    assert queue["VisibilityTimeout"] >= 6 * deployed["RunJobs"]["Properties"]["Timeout"]
    assert queue["RedrivePolicy"]["deadLetterTargetArn"] == {"Fn::GetAtt": ["JobFailures", "Arn"]}
    # At its last receive the worker says that the job failed; were there fewer, the job would hang for ever.
    assert queue["RedrivePolicy"]["maxReceiveCount"] == RECEIVES
    assert deployed["JobFailures"]["Properties"]["MessageRetentionPeriod"] == 14 * 86_400


def test_a_job_counts_with_the_function_s_own_timeout(deployed: Template) -> None:
    assert CONFIG["lambda_functions"]["run_jobs"]["lambda_timeout"] * 1000 == RUN_JOBS_MS == SILENCE_MS
    assert RESERVE_MS < RUN_JOBS_MS / 2


def test_exports_are_closed_to_the_public_encrypted_and_expire_with_their_jobs(deployed: Template) -> None:
    bucket = deployed["ExportBucket"]["Properties"]
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    (rule,) = bucket["LifecycleConfiguration"]["Rules"]
    assert (rule["Status"], rule["ExpirationInDays"]) == ("Enabled", KEPT_DAYS)
    for function in ("RunJobs", "APIHandler"):
        assert deployed[function]["Properties"]["Environment"]["Variables"]["EXPORT_BUCKET"] == {"Ref": "ExportBucket"}
        assert deployed[function]["Properties"]["Environment"]["Variables"]["JOBS_QUEUE_URL"] == {"Ref": "Jobs"}


def test_jobs_write_nothing_but_jobs_and_exports(deployed: Template) -> None:
    rights = {one["Sid"]: one for one in statements(deployed, "RunJobs")}
    # Job items stand in the partitions of applications, never in those of users or tallies.
    assert rights["SaveJobs"]["Condition"] == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["app#*"]}}
    assert rights["WriteExports"]["Resource"] == {"Fn::Sub": "${ExportBucket.Arn}/exports/*"}
    writes = {action for one in rights.values() for action in one["Action"] if "Put" in action or "Write" in action}
    assert writes == {"logs:PutLogEvents", "dynamodb:PutItem", "s3:PutObject"}
    assert rights["TakeAndContinue"]["Resource"] == {"Fn::GetAtt": ["Jobs", "Arn"]}


def test_windows_are_closed_every_minute(deployed: Template) -> None:
    (rule,) = (resource for resource in deployed.values() if resource["Type"] == "AWS::Events::Rule")
    assert rule["Properties"]["ScheduleExpression"] == "rate(1 minute)"
    assert rule["Properties"]["Targets"][0]["Arn"] == {"Fn::GetAtt": ["ExpireCampaigns", "Arn"]}


def test_pinpoint_may_call_the_journey_step_from_this_account_only(deployed: Template) -> None:
    (permission,) = (
        resource["Properties"]
        for resource in deployed.values()
        if resource["Type"] == "AWS::Lambda::Permission"
        and "pinpoint" in json.dumps(resource["Properties"]["Principal"])
    )
    assert permission["FunctionName"] == {"Ref": "TagUsers"}
    assert permission["SourceAccount"] == {"Ref": "AWS::AccountId"}
    # Pinpoint waits 15 seconds; an answer after that is lost, so it must not be worked for.
    assert deployed["TagUsers"]["Properties"]["Timeout"] < 15


def test_every_function_finds_its_tables_by_reference(deployed: Template) -> None:
    for id_ in FUNCTIONS.values():
        variables = deployed[id_]["Properties"]["Environment"]["Variables"]
        assert variables["FACTS_TABLE"] == {"Ref": "FactsTable"}
        assert variables["VIEWS_TABLE"] == {"Ref": "ViewsTable"}
        assert variables["QUARANTINE_BUCKET"] == {"Ref": "QuarantineBucket"}
        assert variables["USER_POOL_ID"] == {"Ref": "CustomerPool"}
        assert variables["COGNITO_ALLOWED_POOLS"] == {"Ref": "OtherCustomerPools"}
        assert variables["COGNITO_ALLOWED_ATTRIBUTES"] == {"Ref": "CampaignAttributes"}


# --- access ---


@pytest.fixture(scope="module")
def api(deployed: Template) -> Template:
    """The REST API's definition: Swagger with API Gateway's extensions."""
    (found,) = (one["Properties"]["Body"] for one in deployed.values() if one["Type"] == "AWS::ApiGateway::RestApi")
    definition: Template = found
    return definition


def test_all_methods_but_the_public_ones_ask_the_authorizer(api: Template) -> None:
    open_ones = {
        path
        for path, methods in api["paths"].items()
        for name, method in methods.items()
        # Preflight requests carry no token.
        if name != "options" and method.get("security") != [{"check_token": []}]
    }
    assert open_ones == {"/health", "/openapi.json"}


def test_the_authorizer_is_asked_with_the_header_and_not_for_every_request(api: Template) -> None:
    authorizer = api["securityDefinitions"]["check_token"]
    assert (authorizer["in"], authorizer["name"]) == ("header", "Authorization")
    settings = authorizer["x-amazon-apigateway-authorizer"]
    assert "CheckToken" in json.dumps(settings["authorizerUri"])
    # What was good stays good for as long, also past its expiry.
    assert settings["authorizerResultTtlInSeconds"] == CACHED_S == 60


def test_the_authorizer_knows_the_pool_and_may_do_nothing_but_log(deployed: Template) -> None:
    variables = deployed["CheckToken"]["Properties"]["Environment"]["Variables"]
    assert variables["MARKETERS_POOL_ID"] == {"Ref": "MarketersPool"}
    assert variables["MARKETERS_CLIENT_ID"] == {"Ref": "MarketersClient"}
    assert [one["Sid"] for one in statements(deployed, "CheckToken")] == ["Logs"]


def test_nobody_becomes_a_marketer_by_himself(deployed: Template) -> None:
    pool, client = deployed["MarketersPool"]["Properties"], deployed["MarketersClient"]["Properties"]
    assert pool["AdminCreateUserConfig"] == {"AllowAdminCreateUserOnly": True}
    assert client["UserPoolId"] == {"Ref": "MarketersPool"}
    assert client["AccessTokenValidity"] == {"Ref": "MarketersTokenHours"}
    assert client["TokenValidityUnits"]["AccessToken"] == "hours"
    groups = {
        one["Properties"]["GroupName"] for one in deployed.values() if one["Type"] == "AWS::Cognito::UserPoolGroup"
    }
    assert groups == {"viewers", "marketers", "admins", "app:*"}


def test_the_stage_is_throttled(deployed: Template) -> None:
    (stage,) = (one["Properties"] for one in deployed.values() if one["Type"] == "AWS::ApiGateway::Stage")
    assert stage["MethodSettings"] == [
        {"HttpMethod": "*", "ResourcePath": "/*", "ThrottlingBurstLimit": 100, "ThrottlingRateLimit": 50}
    ]


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("UNAUTHORIZED", 401),
        ("ACCESS_DENIED", 403),
        ("MISSING_AUTHENTICATION_TOKEN", 404),
        ("INVALID_SIGNATURE", 404),
        ("REQUEST_TOO_LARGE", 413),
        ("THROTTLED", 429),
        ("AUTHORIZER_FAILURE", 503),
        ("AUTHORIZER_CONFIGURATION_ERROR", 503),
        ("DEFAULT_4XX", None),
        ("DEFAULT_5XX", None),
    ],
)
def test_api_gateway_s_own_errors_are_problem_details(api: Template, kind: str, status: int | None) -> None:
    answer = api["x-amazon-apigateway-gateway-responses"][kind]
    assert answer.get("statusCode") == (None if status is None else str(status))
    assert answer["responseParameters"]["gatewayresponse.header.Content-Type"] == "'application/problem+json'"
    # The one variable that stands outside quotes is JSON text itself.
    text = answer["responseTemplates"]["application/json"].replace("$context.error.messageString", '"in words"')
    problem = json.loads(text)
    assert problem.get("status") == status
    assert set(problem) - {"status"} == {"type", "title", "detail", "instance", "request_id"}


# --- least privilege ---


TRACE = {
    "Sid": "Trace",
    "Effect": "Allow",
    "Action": ["xray:PutTraceSegments", "xray:PutTelemetryRecords"],
    "Resource": "*",
}
"""What Lambda's tracing needs. X-Ray has no resources that a policy could name for it."""


def all_statements(deployed: Template, function: str) -> list[Template]:
    role = deployed[function]["Properties"]["Role"]["Fn::GetAtt"][0]
    return [one for policy in deployed[role]["Properties"]["Policies"] for one in policy["PolicyDocument"]["Statement"]]


def statements(deployed: Template, function: str) -> list[Template]:
    """What a function may do, but for sending traces."""
    return [one for one in all_statements(deployed, function) if one != TRACE]


@pytest.mark.parametrize("function", FUNCTIONS.values())
def test_every_function_is_traced_and_may_send_its_traces(deployed: Template, function: str) -> None:
    assert deployed[function]["Properties"]["TracingConfig"] == {"Mode": "Active"}
    assert all_statements(deployed, function).count(TRACE) == 1


def test_every_function_has_a_role_of_its_own(deployed: Template) -> None:
    roles = [deployed[id_]["Properties"]["Role"]["Fn::GetAtt"][0] for id_ in FUNCTIONS.values()]
    assert len(set(roles)) == len(FUNCTIONS)


@pytest.mark.parametrize("function", FUNCTIONS.values())
def test_every_right_names_its_actions_and_its_resource(deployed: Template, function: str) -> None:
    for statement in statements(deployed, function):
        assert not [action for action in statement["Action"] if "*" in action]
        assert statement["Resource"] not in ("*", ["*"])


@pytest.mark.parametrize("function", FUNCTIONS.values())
def test_every_function_writes_to_its_own_log_group_only(deployed: Template, function: str) -> None:
    group = deployed[function]["Properties"]["LoggingConfig"]["LogGroup"]["Ref"]
    (logs,) = (one for one in statements(deployed, function) if one["Action"][0].startswith("logs:"))
    assert logs["Resource"] == {"Fn::GetAtt": [group, "Arn"]}
    assert deployed[group]["Properties"]["RetentionInDays"] == 30


@pytest.mark.parametrize(
    ("action", "allowed"),
    [
        ("cognito-idp:AdminUpdateUserAttributes", {"SyncCampaigns"}),
        ("mobiletargeting:GetJourney", {"SyncCampaigns"}),
        ("s3:PutObject", {"IngestEvents", "TagUsers", "RunJobs"}),
        ("s3:GetObject", {"RunJobs", "APIHandler"}),
        ("s3:ListBucket", {"APIHandler"}),
        ("sqs:ReceiveMessage", {"RunJobs"}),
        ("sqs:DeleteMessage", {"RunJobs"}),
        ("dynamodb:BatchGetItem", set(FUNCTIONS.values()) - {"TagUsers", "ExpireCampaigns", "CheckToken"}),
        ("dynamodb:BatchWriteItem", {"IngestEvents", "TagUsers", "SyncCampaigns"}),
        ("dynamodb:DeleteItem", {"ProjectFacts"}),
        # Previews of settings: no index holds all facts of an application.
        ("dynamodb:Scan", {"RunJobs", "APIHandler"}),
    ],
)
def test_who_may_do_what(deployed: Template, action: str, allowed: set[str]) -> None:
    holders = {id_ for id_ in FUNCTIONS.values() for one in statements(deployed, id_) if action in one["Action"]}
    assert holders == allowed
