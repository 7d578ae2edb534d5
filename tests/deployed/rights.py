"""The policies of the functions, and whether they allow a call."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from local.stack import PROJECT, LocalStack
from tests.support.calls import Call

Json = dict[str, Any]


class Right(NamedTuple):
    """One action on one resource that a policy allows; the resource as `Call` names it, perhaps with wildcards."""

    action: str
    resource: str
    condition: str = "{}"
    """JSON."""

    @property
    def leading_keys(self) -> list[str]:
        """Patterns of the partitions that it is for; none if it is for all."""
        return [
            pattern for key, patterns in self._conditions() if key == "dynamodb:LeadingKeys" for pattern in patterns
        ]

    def allows(self, call: Call) -> bool:
        """Whether the call is made by this right."""
        return (
            self.action == call.action
            and fnmatchcase(call.resource, self.resource)
            and all(self._holds(key, patterns, call) for key, patterns in self._conditions())
        )

    def _conditions(self) -> Iterator[tuple[str, list[str]]]:
        for operator, keys in json.loads(self.condition).items():
            assert operator in ("StringLike", "ForAllValues:StringLike"), operator
            for key, patterns in keys.items():
                yield key, [patterns] if isinstance(patterns, str) else patterns

    @staticmethod
    def _holds(key: str, patterns: list[str], call: Call) -> bool:
        values = {"dynamodb:LeadingKeys": call.leading_keys, "s3:prefix": (call.prefix or "",)}[key]
        return all(any(fnmatchcase(value, pattern) for pattern in patterns) for value in values)


def names(stack: LocalStack, other_pool: str) -> dict[str, str]:
    """What `Call` names resources, by what a policy names them."""
    tables = {"FactsTable": stack.facts_table, "ViewsTable": stack.views_table}
    queues = {
        "IngestFailures": stack.queues["ingest_events"],
        "ProjectFailures": stack.queues["project_facts"],
        "SyncFailures": stack.queues["sync_campaigns"],
        "Jobs": stack.jobs_queue,
    }
    buckets = {"QuarantineBucket": stack.quarantine_bucket, "ExportBucket": stack.export_bucket}
    return {
        **{f"{id_}.Arn": f"table/{name}" for id_, name in tables.items()},
        **{f"{id_}.StreamArn": f"table/{name}/stream/now" for id_, name in tables.items()},
        **{f"{id_}.Arn": f"queue/{url.rpartition('/')[2]}" for id_, url in queues.items()},
        **{f"{id_}.Arn": f"bucket/{name}" for id_, name in buckets.items()},
        "EventStream.Arn": f"stream/{stack.event_stream}",
        **{f"AWS::{name}": "aws" for name in ("Partition", "Region", "AccountId")},
        "OtherCustomerPools": other_pool,
        "CustomerPool.Arn": f"userpool/{stack.user_pool_id}",
    }


def rights(function: str, known: dict[str, str]) -> set[Right]:
    """What the policy of a function allows."""
    policy = json.loads((PROJECT / f".chalice/policies/{function}.json").read_text(encoding="utf-8"))
    found = set()
    for statement in policy["Statement"]:
        # Pinpoint is on here: the fixture server stands in for it.
        assert statement["Effect"] in ("Allow", {"Fn::If": ["UsesPinpoint", "Allow", "Deny"]})
        resources = statement["Resource"]
        for resource in resources if isinstance(resources, list) else [resources]:
            for action in statement["Action"]:
                found.add(Right(action, _named(resource, known), json.dumps(statement.get("Condition", {}))))
    return found


def _named(resource: Any, known: dict[str, str]) -> str:
    if isinstance(resource, str):
        return resource
    if "Fn::If" in resource:
        # Of a resource that may be somebody else's: the case that it is the stack's own.
        return _named(resource["Fn::If"][1], known)
    if "Fn::GetAtt" in resource:
        id_, attribute = resource["Fn::GetAtt"]
        return known.get(f"{id_}.{attribute}", f"{id_}.{attribute}")
    text = re.sub(r"\$\{([\w.:]+)\}", lambda found: known[found[1]], resource["Fn::Sub"])
    # Objects of a bucket, journeys of Pinpoint.
    text = re.sub(r"^bucket/([^/]+)/", r"object/\1/", text)
    return text.rpartition(":")[2] if text.startswith("arn:") else text
