"""What ``chalice deploy`` cannot set: read from ``infra/functions.json``, set on the deployed functions, and compared.

Everything here may be done again at any time: it changes what is not yet as it should be.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from boto3.session import Session
from botocore.exceptions import ClientError

from infra.data_stack import needed
from infra.expressions import with_values

Json = dict[str, Any]

MAPPED = (
    "BisectBatchOnFunctionError",
    "FilterCriteria",
    "FunctionResponseTypes",
    "MaximumBatchingWindowInSeconds",
    "MaximumRecordAgeInSeconds",
    "MaximumRetryAttempts",
    "ParallelizationFactor",
    "TumblingWindowInSeconds",
)
"""Properties of an event source in the template that are called the same in Lambda's API."""

PERMISSION = "pinpoint-journeys"
"""Id of the statement that lets Pinpoint invoke the journey step."""

BUSY_FOR_S = 120.0
"""How long a function or a mapping may take to be done with its last change."""


class Deployed(NamedTuple):
    """What ``chalice deploy`` made, as ``.chalice/deployed/<stage>.json`` lists it."""

    functions: Mapping[str, str]
    """ARNs by name."""
    mappings: Mapping[str, str]
    """UUIDs of the event source mappings by the name of their function."""
    rules: Mapping[str, str]
    """Names of EventBridge rules by the name of their function."""
    rest_api: str | None

    @classmethod
    def of(cls, listed: Mapping[str, Any]) -> Deployed:
        """From the content of the file."""
        resources = listed["resources"]
        functions = {one["name"]: one["lambda_arn"] for one in resources if one["resource_type"] == "lambda_function"}
        names = {arn: name for name, arn in functions.items()}
        mappings = {names[one["lambda_arn"]]: one["event_uuid"] for one in resources if "event_uuid" in one}
        rules = {
            one["name"].removesuffix("-event"): one["rule_name"]
            for one in resources
            if one["resource_type"] == "cloudwatch_event"
        }
        apis = [one["rest_api_id"] for one in resources if one["resource_type"] == "rest_api"]
        return cls(functions, mappings, rules, apis[0] if apis else None)


class Wanted(NamedTuple):
    """What is to be set."""

    mappings: Mapping[str, Json]
    """Arguments of UpdateEventSourceMapping by function."""
    logs: Mapping[str, str]
    """Log groups by function."""
    concurrency: Mapping[str, int | None]
    """Reserved, by function; None: nothing is."""
    retries: Mapping[str, Json]
    """Retry policies of schedules by function."""
    permission: Json | None
    """Who may invoke the journey step: Principal, SourceAccount and SourceArn; None: nobody but the account."""


def logical_id(function: str) -> str:
    """What the template calls a function."""
    return "APIHandler" if function == "api_handler" else "".join(part.capitalize() for part in function.split("_"))


def wanted(functions: Mapping[str, Any], outputs: Mapping[str, str], names: Iterator[str]) -> Wanted:
    """What ``infra/functions.json`` says of functions, with the data stack's values."""
    told = with_values(needed(functions), outputs)
    mappings: dict[str, Json] = {}
    logs: dict[str, str] = {}
    concurrency: dict[str, int | None] = {}
    retries: dict[str, Json] = {}
    for name in names:
        properties = told["Resources"].get(logical_id(name), {})
        if "LoggingConfig" in properties:
            logs[name] = properties["LoggingConfig"]["LogGroup"]
        reserved = properties.get("ReservedConcurrentExecutions")
        concurrency[name] = None if reserved is None else int(reserved)
        for event in properties.get("Events", {}).values():
            source = event["Properties"]
            if "RetryPolicy" in source:
                retries[name] = source["RetryPolicy"]
            if "Stream" in source or "Queue" in source:
                mappings[name] = _mapping(source)
    permission = told["Permission"] if told["Permitted"] == "yes" else None
    return Wanted(mappings, logs, concurrency, retries, permission)


def _mapping(source: Mapping[str, Any]) -> Json:
    arguments = {name: source[name] for name in MAPPED if name in source}
    if "DestinationConfig" in source:
        queue = source["DestinationConfig"]["OnFailure"]["Destination"]
        arguments["DestinationConfig"] = {"OnFailure": {"Destination": queue}}
    return arguments


class Settings:
    """The settings of one deployed stage."""

    def __init__(self, session: Session, deployed: Deployed, wanted: Wanted) -> None:
        self._lambda = session.client("lambda")
        self._events = session.client("events")
        self._deployed = deployed
        self._wanted = wanted

    # --- setting ---

    def apply(self) -> None:
        """Set what is not yet as it should be."""
        for name, group in self._wanted.logs.items():
            self._when_idle(lambda name=name, group=group: self._log(name, group))  # type: ignore[misc]
        for name, arguments in self._wanted.mappings.items():
            self._when_idle(lambda name=name, arguments=arguments: self._map(name, arguments))  # type: ignore[misc]
        for name, executions in self._wanted.concurrency.items():
            self._reserve(self._deployed.functions[name], executions)
        for name, policy in self._wanted.retries.items():
            self._retry(name, policy)
        self._permit()

    def _reserve(self, function: str, executions: int | None) -> None:
        if self._reserved(function) == executions:
            return
        if executions is None:
            self._lambda.delete_function_concurrency(FunctionName=function)
        else:
            self._lambda.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=executions)

    def _reserved(self, function: str) -> int | None:
        return self._lambda.get_function_concurrency(FunctionName=function).get("ReservedConcurrentExecutions")

    def _log(self, name: str, group: str) -> None:
        self._lambda.update_function_configuration(
            FunctionName=self._deployed.functions[name], LoggingConfig={"LogGroup": group}
        )

    def _map(self, name: str, arguments: Json) -> None:
        self._lambda.update_event_source_mapping(UUID=self._deployed.mappings[name], **arguments)

    @staticmethod
    def _when_idle(change: Callable[[], None]) -> None:
        """Change something that may still be busy with its last change."""
        deadline = time.monotonic() + BUSY_FOR_S
        while True:
            try:
                return change()
            except ClientError as error:
                busy = error.response.get("Error", {}).get("Code") in (
                    "ResourceConflictException",
                    "ResourceInUseException",
                )
                if not busy or time.monotonic() > deadline:
                    raise
            time.sleep(2)

    def _retry(self, name: str, policy: Json) -> None:
        rule = self._deployed.rules[name]
        targets: Any = self._events.list_targets_by_rule(Rule=rule)["Targets"]
        self._events.put_targets(Rule=rule, Targets=[{**one, "RetryPolicy": policy} for one in targets])

    def _permit(self) -> None:
        if self._permission() == self._wanted.permission:
            return
        function = self._deployed.functions["tag_users"]
        if self._permission() is not None:
            self._lambda.remove_permission(FunctionName=function, StatementId=PERMISSION)
        if self._wanted.permission is not None:
            self._lambda.add_permission(
                FunctionName=function, StatementId=PERMISSION, Action="lambda:InvokeFunction", **self._wanted.permission
            )

    # --- comparing ---

    def differences(self) -> list[str]:
        """What is not as it should be, one line each."""
        return sorted(
            f"{place}: {found!r}, but should be {expected!r}"
            for place, expected, found in self._compared()
            if found != expected
        )

    def _compared(self) -> Iterator[tuple[str, object, object]]:
        for name, group in self._wanted.logs.items():
            function: Any = self._lambda.get_function_configuration(FunctionName=self._deployed.functions[name])
            yield f"{name} LogGroup", group, function.get("LoggingConfig", {}).get("LogGroup")
        for name, arguments in self._wanted.mappings.items():
            mapping: Any = self._lambda.get_event_source_mapping(UUID=self._deployed.mappings[name])
            for setting, expected in arguments.items():
                yield f"{name} {setting}", expected, _plain(setting, mapping.get(setting))
        for name, executions in self._wanted.concurrency.items():
            yield f"{name} ReservedConcurrentExecutions", executions, self._reserved(self._deployed.functions[name])
        for name, policy in self._wanted.retries.items():
            for target in self._events.list_targets_by_rule(Rule=self._deployed.rules[name])["Targets"]:
                yield f"{name} RetryPolicy", policy, target.get("RetryPolicy")
        yield "tag_users permission", self._wanted.permission, self._permission()

    def _permission(self) -> Json | None:
        """What Pinpoint may do; None if nothing was said about it."""
        try:
            policy = self._lambda.get_policy(FunctionName=self._deployed.functions["tag_users"])["Policy"]
        except self._lambda.exceptions.ResourceNotFoundException:
            return None
        for statement in json.loads(policy)["Statement"]:
            if statement["Sid"] == PERMISSION:
                conditions = statement.get("Condition", {})
                return {
                    "Principal": statement["Principal"]["Service"],
                    "SourceAccount": conditions.get("StringEquals", {}).get("AWS:SourceAccount"),
                    "SourceArn": conditions.get("ArnLike", {}).get("AWS:SourceArn"),
                }
        return None


def _plain(setting: str, value: Any) -> Any:
    """A mapping's setting as it is set: Lambda answers also with what is empty."""
    if setting == "DestinationConfig" and value:
        return {"OnFailure": value.get("OnFailure")}
    return value
