"""The alarms' settings, the runbook's sections, the logs' and traces' settings, in the merged template."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from infra.merge import merged_parts

PROJECT = Path(__file__).parents[2]
TEMPLATE: dict[str, Any] = json.loads(merged_parts(PROJECT))
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]
ALARMS = {id_: one["Properties"] for id_, one in RESOURCES.items() if one.get("Type") == "AWS::CloudWatch::Alarm"}
RUNBOOK = (PROJECT / "docs/runbook.md").read_text(encoding="utf-8")

STREAM_FUNCTIONS = {"IngestEvents": "IngestLate", "ProjectFacts": "ProjectLate", "SyncCampaigns": "SyncLate"}
DAY_MS = 86_400_000


def test_every_alarm_has_its_section_in_the_runbook_and_every_section_its_alarm() -> None:
    # Sections below "Failure queues" are procedures.
    alarms_part, _, procedures = RUNBOOK.partition("## Failure queues")
    assert procedures
    assert sorted(re.findall(r"^### (.+)$", alarms_part, re.MULTILINE)) == sorted(ALARMS)


@pytest.mark.parametrize("id_", ALARMS)
def test_an_alarm_s_description_ends_with_where_its_section_stands(id_: str) -> None:
    assert ALARMS[id_]["AlarmDescription"].endswith(f" See docs/runbook.md#{id_.lower()}")


def test_links_within_the_runbook_lead_somewhere() -> None:
    anchors = {title.lower().replace(" ", "-") for title in re.findall(r"^#+ (.+)$", RUNBOOK, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]+)\)", RUNBOOK)) <= anchors
    for name in re.findall(r"\]\(([a-z]+\.md)", RUNBOOK):
        assert (PROJECT / "docs" / name).exists()


@pytest.mark.parametrize("id_", ALARMS)
def test_no_alarm_has_a_fixed_name_and_all_tell_the_topic_if_there_is_one(id_: str) -> None:
    # Two stages live in one account.
    assert "AlarmName" not in ALARMS[id_]
    topic = {"Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopicArn"}], {"Ref": "AWS::NoValue"}]}
    assert ALARMS[id_]["AlarmActions"] == ALARMS[id_]["OKActions"] == topic
    assert TEMPLATE["Parameters"]["AlarmTopicArn"]["Default"] == ""


def test_only_expiry_takes_silence_for_a_failure_and_lags_never_take_it_for_a_success() -> None:
    # The others' metrics are told only when there is something to do.
    by_treatment: dict[str, set[str]] = {}
    for id_, alarm in ALARMS.items():
        by_treatment.setdefault(alarm["TreatMissingData"], set()).add(id_)
    assert by_treatment["breaching"] == {"ExpiryLate"}
    # A shard that stands still is tried, and so tells its lag, more and more seldom.
    lags = {*STREAM_FUNCTIONS.values(), "ProjectionLag", "CampaignLag"}
    assert by_treatment["ignore"] == lags
    assert {(ALARMS[id_]["DatapointsToAlarm"], ALARMS[id_]["EvaluationPeriods"]) for id_ in lags} == {(3, 15)}
    assert by_treatment.keys() == {"breaching", "ignore", "notBreaching"}


def test_each_stream_function_s_age_is_watched_well_before_its_stream_forgets() -> None:
    for function, id_ in STREAM_FUNCTIONS.items():
        alarm = ALARMS[id_]
        assert alarm["MetricName"] == "IteratorAge"
        assert alarm["Dimensions"] == [{"Name": "FunctionName", "Value": {"Ref": function}}]
        assert alarm["Threshold"] <= DAY_MS / 4


@pytest.mark.parametrize("queue", [id_ for id_ in RESOURCES if id_.endswith("Failures")])
def test_every_failure_queue_is_watched_for_its_first_message(queue: str) -> None:
    alarm = ALARMS[f"{queue}Waiting"]
    assert alarm["Dimensions"] == [{"Name": "QueueName", "Value": {"Fn::GetAtt": [queue, "QueueName"]}}]
    assert (alarm["MetricName"], alarm["Statistic"]) == ("ApproximateNumberOfMessagesVisible", "Maximum")
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanThreshold", 0)


def test_errors_and_throttles_of_all_functions_are_watched_but_throttles_of_the_single_one() -> None:
    functions = {id_ for id_, one in RESOURCES.items() if "LoggingConfig" in one.get("Properties", {})}

    def watched(id_: str) -> set[str]:
        stats = [one["MetricStat"]["Metric"] for one in ALARMS[id_]["Metrics"] if "MetricStat" in one]
        return {one["Dimensions"][0]["Value"]["Ref"] for one in stats}

    assert watched("FunctionErrors") == functions
    # Its reserved concurrency is 1, for all shards: the others' batches wait by being throttled.
    assert watched("FunctionThrottles") == functions - {"SyncCampaigns"}
    assert TEMPLATE["Parameters"]["SyncConcurrency"]["Default"] == 1


def test_an_alarm_of_several_metrics_has_no_more_than_cloudwatch_takes() -> None:
    for alarm in ALARMS.values():
        assert len(alarm.get("Metrics", ())) <= 10
        assert [one["ReturnData"] for one in alarm.get("Metrics", ())].count(True) == ("Metrics" in alarm)


def test_every_log_group_forgets() -> None:
    groups = {id_: one["Properties"] for id_, one in RESOURCES.items() if one.get("Type") == "AWS::Logs::LogGroup"}
    assert "ApiAccessLog" in groups
    assert {id_: one.get("RetentionInDays") for id_, one in groups.items()} == dict.fromkeys(groups, 30)


def test_the_api_s_access_log_names_routes_and_no_customer() -> None:
    choice = RESOURCES["RestAPI"]["Properties"]["AccessLogSetting"]["Fn::If"]
    assert choice[0] == "HasApiAccessLog"
    variables = set(json.loads(choice[1]["Format"]).values())
    # A path and a query name users; so do addresses and what the authorizer says.
    assert not [one for one in variables if re.search(r"path$|identity|authorizer|request\.|querystring", one)]
    assert {"$context.requestId", "$context.resourcePath", "$context.status"} <= variables


def test_the_api_is_traced_and_told_apart_from_another_stage_s() -> None:
    properties = RESOURCES["RestAPI"]["Properties"]
    assert properties["TracingEnabled"] is True
    assert properties["Name"] == properties["DefinitionBody"]["info"]["title"] == {"Ref": "AWS::StackName"}
    for id_ in ("ApiFails", "ApiSlow"):
        assert {one["Name"]: one["Value"] for one in ALARMS[id_]["Dimensions"]} == {
            "ApiName": {"Ref": "AWS::StackName"},
            "Stage": {"Ref": "RestAPI.Stage"},
        }
