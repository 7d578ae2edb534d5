"""The packaged application, deployed on a MiniStack of its own by its CloudFormation, as AWS would be asked to.

MiniStack checks every call against the policies of whoever makes it (``AUTH``), so each function has the rights of its
own role and no others. It differs from AWS in what follows, and so does what is deployed here:

* Its Lambda runs the functions on this machine: the zip is built for this machine's processor and
  Python.
* It does not tell a function its handler (``_HANDLER``), which Lambda does: here it is a variable of the function.
* Its event source mappings ignore partial batch failures and tumbling windows. They are switched off, and the local
  system's pumps invoke the deployed functions by name, with the payload that Lambda would make, batched, filtered and
  retried as the deployed mapping says.
* It has no alarms on metric math: they are left out, and checked by CloudFormation's schema in ``tests/package``.
* It keeps the functions' log lines, but makes no metrics of those in embedded format: `Deployment.metrics` does.
* It is spoken to without TLS: the buckets' policies, which refuse that, are left out, and checked in ``tests/package``.
"""

from __future__ import annotations

import http.client
import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import urlsplit

from botocore.config import Config
from botocore.exceptions import ClientError

from infra.package import RUNTIME, SHIPPED, package
from local.delivery import Policy
from local.environment import isolated, process_environment
from local.filters import record_filter
from local.ministack import MiniStack, running_ministack
from local.pumps import Function, StreamPump, wait_until_idle
from local.queue_pump import QueuePump
from local.shard_reader import Batching
from local.stack import PROJECT, connect
from local.streams import ChangeStream, KinesisStream, Stream
from tests.observability.emitted import Metric, emitted

if TYPE_CHECKING:
    from boto3.session import Session

Json = dict[str, Any]

ARTIFACTS = "artifacts"
STREAMED = ("IngestEvents", "ProjectFacts", "SyncCampaigns")
"""Functions that read streams, in the order in which records flow."""
DEPLOYED_WITHIN_S = 60.0
PATIENT = Config(read_timeout=100, retries={"total_max_attempts": 1})
"""An invocation that is slow to answer must not be made twice."""


class DeploymentFailed(Exception):
    """CloudFormation did not get there; the message holds its reasons."""


class FunctionFailed(Exception):
    """A function raised; the message is what Lambda says of it."""


class Answer(NamedTuple):
    """Of the REST API."""

    status: int
    body: Any
    headers: Mapping[str, str]


def template_of(folder: Path, change: Mapping[str, Any] | None = None) -> Json:
    """The packaged template as it is deployed here, with some resources' properties changed."""
    template: Json = json.loads((folder / "sam.json").read_text(encoding="utf-8"))
    template["Resources"] = {
        id_: one
        for id_, one in template["Resources"].items()
        if "Metrics" not in one.get("Properties", {}) and one["Type"] != "AWS::S3::BucketPolicy"
    }
    for id_, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::Serverless::Function":
            properties["CodeUri"] = f"s3://{ARTIFACTS}/deployment.zip"
            properties["Environment"]["Variables"]["_HANDLER"] = properties["Handler"]
        properties.update((change or {}).get(id_, {}))
    return template


def project_copy(target: Path) -> Path:
    """The project as a clone has it, but to be packaged for this machine's processor and Python."""
    for name in (*SHIPPED, "requirements.txt", "infra"):
        source, copied = PROJECT / name, target / name
        copied.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, copied, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, copied)
    config = target / ".chalice/config.json"
    settings = json.loads(config.read_text(encoding="utf-8"))
    settings["lambda_architecture"] = "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64"
    settings[RUNTIME] = "python{}.{}".format(*sys.version_info[:2])
    config.write_text(json.dumps(settings), encoding="utf-8")
    return target


def build(output: Path) -> Path:
    """Package the application by what ``make package`` runs."""
    package(project_copy(output / "project"), "dev", output / "package")
    return output / "package"


class Deployment:
    """A deployed stack and its users; of one MiniStack there may be several."""

    def __init__(
        self,
        ministack: MiniStack,
        folder: Path,
        stack: str = "attribution",
        parameters: Mapping[str, str] | None = None,
    ) -> None:
        self.ministack = ministack
        self._stack = stack
        self._parameters = [{"ParameterKey": k, "ParameterValue": v} for k, v in (parameters or {}).items()]
        self._folder = folder
        self.session: Session = connect(ministack.endpoint)
        self._cloudformation = self.client("cloudformation")
        self._lambda = self.client("lambda")
        self._pumps: list[StreamPump] = []
        s3 = self.client("s3")
        s3.create_bucket(Bucket=ARTIFACTS)
        s3.put_object(Bucket=ARTIFACTS, Key="deployment.zip", Body=(folder / "deployment.zip").read_bytes())

    def client(self, service: str) -> Any:
        """A client of the emulated AWS, as its account's root."""
        return self.session.client(service, endpoint_url=self.ministack.endpoint, config=PATIENT)  # type: ignore[call-overload]

    def beside(self, stack: str, parameters: Mapping[str, str]) -> Deployment:
        """Another stack of the same account, from the same package; not deployed yet."""
        return Deployment(self.ministack, self._folder, stack, parameters)

    # --- CloudFormation ---

    def deploy(self, change: Mapping[str, Any] | None = None) -> None:
        """Create the stack, or update it.

        Raises
        ------
        DeploymentFailed
            The stack is not there, or is what it was.
        """
        template = json.dumps(template_of(self._folder, change)).encode()
        self.client("s3").put_object(Bucket=ARTIFACTS, Key="sam.json", Body=template)
        arguments = {
            "StackName": self._stack,
            # By its address: it is larger than what a call may carry.
            "TemplateURL": f"{self.ministack.endpoint}/{ARTIFACTS}/sam.json",
            "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
            "Parameters": self._parameters,
        }
        if self._exists():
            self._cloudformation.update_stack(**arguments)
        else:
            self._cloudformation.create_stack(**arguments)
        self._wait()
        for mapping in self._lambda.list_event_source_mappings()["EventSourceMappings"]:
            self._lambda.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)

    def _exists(self) -> bool:
        try:
            return bool(self._cloudformation.describe_stacks(StackName=self._stack)["Stacks"])
        except ClientError:
            return False

    def _wait(self) -> None:
        deadline = time.monotonic() + DEPLOYED_WITHIN_S
        status = "?"
        while time.monotonic() < deadline:
            status = self._cloudformation.describe_stacks(StackName=self._stack)["Stacks"][0]["StackStatus"]
            if status in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
                return
            if "IN_PROGRESS" not in status:
                break
            time.sleep(0.1)
        events = self._cloudformation.describe_stack_events(StackName=self._stack)["StackEvents"]
        reasons = [f"{one['LogicalResourceId']}: {one.get('ResourceStatusReason')}" for one in events]
        raise DeploymentFailed(f"{status}: " + "; ".join(one for one in reasons if not one.endswith((": None", ": "))))

    @property
    def outputs(self) -> dict[str, str]:
        """The stack's outputs."""
        stack = self._cloudformation.describe_stacks(StackName=self._stack)["Stacks"][0]
        return {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}

    @property
    def resources(self) -> dict[str, str]:
        """Physical ids by logical ids."""
        found = self._cloudformation.describe_stack_resources(StackName=self._stack)["StackResources"]
        return {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in found}

    def processed(self) -> Json:
        """The resources after the SAM transform, by logical id."""
        body = self._cloudformation.get_template(StackName=self._stack, TemplateStage="Processed")["TemplateBody"]
        template: Json = json.loads(body) if isinstance(body, str) else body
        return cast(Json, template["Resources"])

    # --- functions ---

    def invoke(self, function: str, event: object) -> Any:
        """Call a function by its logical id. Raises FunctionFailed if it does."""
        answer = self._lambda.invoke(FunctionName=self.resources[function], Payload=json.dumps(event).encode())
        said = json.loads(answer["Payload"].read())
        if answer.get("FunctionError"):
            raise FunctionFailed(f"{function}: {said}")
        return said

    def _function(self, id_: str, name: str) -> Function:
        def invoke(event: Json, _context: object) -> object:
            answer = self._lambda.invoke(FunctionName=name, Payload=json.dumps(event).encode())
            said = json.loads(answer["Payload"].read())
            if answer.get("FunctionError"):
                raise FunctionFailed(f"{id_}: {said}")
            return said

        return Function(name, invoke, self.ministack.region)

    @contextmanager
    def without_right(self, function: str, sid: str) -> Iterator[None]:
        """The role of a function lacks one statement of its policy for the time of the block."""
        iam, role = self.client("iam"), self.resources[f"{function}Role"]
        (name,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
        policy = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        left = [one for one in policy["Statement"] if one["Sid"] != sid]
        assert len(left) == len(policy["Statement"]) - 1

        def put(statements: list[Json]) -> None:
            document = json.dumps({**policy, "Statement": statements})
            iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=document)

        put(left)
        try:
            yield
        finally:
            put(policy["Statement"])

    # --- what it tells CloudWatch ---

    def errors(self, function: str) -> float:
        """Lambda's own metric ``Errors`` of a function, since it was deployed."""
        now = datetime.now(UTC)
        points = self.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/Lambda",
            MetricName="Errors",
            Dimensions=[{"Name": "FunctionName", "Value": self.resources[function]}],
            StartTime=now - timedelta(hours=1),
            EndTime=now + timedelta(minutes=1),
            Period=60,
            Statistics=["Sum"],
        )["Datapoints"]
        return float(sum(one["Sum"] for one in points))

    def metrics(self, function: str, since: int) -> dict[Metric, list[float]]:
        """What a function wrote in embedded metric format since a time (ms UTC), as CloudWatch would read it.

        MiniStack waits for what a function writes for some milliseconds only, and finds the rest when it invokes the
        function again: that is done here, without any record.
        """
        self.invoke(function, {"Records": []})
        pages = self.client("logs").get_paginator("filter_log_events")
        group = self.resources[f"{function}Logs"]
        written = [
            one["message"]
            for page in pages.paginate(logGroupName=group, startTime=since, filterPattern="")
            for one in page["events"]
        ]
        return emitted("\n".join(written))

    # --- event source mappings ---

    @contextmanager
    def pumping(self) -> Iterator[None]:
        """Deliver the streams to the deployed functions for the time of the block."""
        self._pumps = [self._pump(id_) for id_ in STREAMED]
        for pump in self._pumps:
            pump.start()
        try:
            yield
        finally:
            for pump in self._pumps:
                pump.stopping.set()
            for pump in self._pumps:
                pump.stop()

    def settle(self) -> None:
        """Wait until all that is in the stream is ingested, projected and synced."""
        wait_until_idle(self._pumps, 60)

    def _mapping(self, function: str) -> tuple[Json, Json]:
        """Of a function: its mapping as deployed, and as the template sets it (MiniStack forgets the window)."""
        (id_,) = (
            id_
            for id_, one in self.processed().items()
            if one["Type"] == "AWS::Lambda::EventSourceMapping"
            and one["Properties"]["FunctionName"] == {"Ref": function}
        )
        deployed = self._lambda.get_event_source_mapping(UUID=self.resources[id_])
        return deployed, self.processed()[id_]["Properties"]

    def _pump(self, function: str) -> StreamPump:
        deployed, properties = self._mapping(function)
        window_s = int(properties.get("TumblingWindowInSeconds", 0))
        arn = deployed["EventSourceArn"]
        stream: Stream = (
            KinesisStream(self.client("kinesis"), arn)
            if ":kinesis:" in arn
            else ChangeStream(self.client("dynamodbstreams"), arn, window_s)
        )
        retries, age = deployed["MaximumRetryAttempts"], deployed["MaximumRecordAgeInSeconds"]
        policy = Policy(
            maximum_retry_attempts=None if retries < 0 else retries,
            maximum_record_age_s=None if age < 0 else age,
            bisect_on_error=deployed["BisectBatchOnFunctionError"],
            report_item_failures="ReportBatchItemFailures" in deployed["FunctionResponseTypes"],
            expect_state=window_s > 0,
        )
        sqs = self.client("sqs")
        queue = deployed["DestinationConfig"]["OnFailure"]["Destination"].split(":")[-1]
        filters = [one["Pattern"] for one in deployed.get("FilterCriteria", {}).get("Filters", ())]
        return StreamPump(
            stream,
            self._function(function, self.resources[function]),
            sqs,
            sqs.get_queue_url(QueueName=queue)["QueueUrl"],
            policy,
            Batching(size=deployed["BatchSize"]),
            record_filter(filters),
        )

    @contextmanager
    def working(self) -> Iterator[None]:
        """Deliver the jobs' queue to its function for the time of the block."""
        deployed, _ = self._mapping("RunJobs")
        pump = QueuePump(
            self.client("sqs"),
            self.outputs["JobsUrl"],
            deployed["EventSourceArn"],
            self._function("RunJobs", self.resources["RunJobs"]),
            deployed["BatchSize"],
        )
        pump.start()
        try:
            yield
        finally:
            pump.stop()

    # --- users ---

    def put(self, records: Sequence[bytes]) -> None:
        """Put records into the deployed stream."""
        entries = [{"Data": one, "PartitionKey": "any"} for one in records]
        answer = self.client("kinesis").put_records(StreamName=self.outputs["EventStreamName"], Records=entries)
        assert answer["FailedRecordCount"] == 0

    def sign_in(self, name: str, *groups: str) -> str:
        """An access token of a new user of the marketers' pool, who is in some of its groups."""
        cognito, pool = self.client("cognito-idp"), self.outputs["MarketersPoolId"]
        password = "Aa1-of-this-test-alone"
        cognito.admin_create_user(UserPoolId=pool, Username=name, TemporaryPassword=password, MessageAction="SUPPRESS")
        cognito.admin_set_user_password(UserPoolId=pool, Username=name, Password=password, Permanent=True)
        for group in groups:
            cognito.admin_add_user_to_group(UserPoolId=pool, Username=name, GroupName=group)
        answer = cognito.admin_initiate_auth(
            UserPoolId=pool,
            ClientId=self.outputs["MarketersClientId"],
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": name, "PASSWORD": password},
        )
        return cast(str, answer["AuthenticationResult"]["AccessToken"])

    def register(self, name: str) -> None:
        """A customer."""
        self.client("cognito-idp").admin_create_user(
            UserPoolId=self.outputs["CustomerPoolId"], Username=name, MessageAction="SUPPRESS"
        )

    def campaign(self, name: str) -> str | None:
        """What stands at a customer in Cognito; None if nothing was ever written."""
        user = self.client("cognito-idp").admin_get_user(UserPoolId=self.outputs["CustomerPoolId"], Username=name)
        return {one["Name"]: one["Value"] for one in user["UserAttributes"]}.get("custom:campaign")

    def call(self, method: str, path: str, token: str | None = None, body: object = None, **headers: str) -> Answer:
        """A request to the deployed REST API."""
        stage = urlsplit(self.outputs["EndpointURL"]).path.strip("/")
        target = f"/restapis/{self.outputs['RestAPIId']}/{stage}/_user_request_{path}"
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if body is not None:
            headers["Content-Type"] = "application/json"
        connection = http.client.HTTPConnection(urlsplit(self.ministack.endpoint).netloc, timeout=100)
        try:
            connection.request(method, target, None if body is None else json.dumps(body).encode(), headers)
            answer = connection.getresponse()
            return Answer(answer.status, json.loads(answer.read()), dict(answer.headers))
        finally:
            connection.close()


@contextmanager
def deployment(folder: Path) -> Iterator[Deployment]:
    """The package in ``folder``, deployed for the time of the block."""
    with ExitStack() as opened:
        # For the start only: the environment may become another one's while this runs.
        # MiniStack hands its own on to the functions, which are not to have that of the tests.
        variables = {name: value for name, value in os.environ.items() if not name.startswith("POWERTOOLS_")}
        with process_environment({**isolated(variables), "AUTH": "true"}):
            ministack = opened.enter_context(running_ministack())
        made = Deployment(ministack, folder)
        made.deploy()
        yield made
        # Nothing is to be kept, and it would wait for its functions one by one.
        ministack.process.kill()
