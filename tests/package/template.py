"""What tests of the packaged template know of it."""

from __future__ import annotations

from typing import Any

Template = dict[str, Any]

FUNCTIONS = {
    "ingest_events": "IngestEvents",
    "tag_users": "TagUsers",
    "project_facts": "ProjectFacts",
    "sync_campaigns": "SyncCampaigns",
    "expire_campaigns": "ExpireCampaigns",
    "check_token": "CheckToken",
    "run_jobs": "RunJobs",
    "api_handler": "APIHandler",
}
"""Logical ids in the template by names in .chalice/config.json."""

EVENT_STREAM_ARN = {
    "Fn::If": ["MakesEventStream", {"Fn::GetAtt": ["EventStream", "Arn"]}, {"Ref": "ExistingEventStreamArn"}]
}
"""The stream of the stack's own, or the one that its parameter names."""


def mapping(deployed: Template, function: str) -> Template:
    """Properties of the one event source mapping of a function."""
    (found,) = (
        resource["Properties"]
        for resource in deployed.values()
        if resource["Type"] == "AWS::Lambda::EventSourceMapping"
        and resource["Properties"]["FunctionName"] == {"Ref": function}
    )
    properties: Template = found
    return properties
