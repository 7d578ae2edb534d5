"""Records that are wrong, in a running ``serve``: kept whole, and no harm to their neighbours (R14)."""

from __future__ import annotations

import base64
import json

from tests.e2e.support import HOUR, MINUTE, Served, figures, now
from tests.reference.records import Json, email_click, encode, event, iso, send


def test_bad_records_are_set_aside_whole_and_their_neighbours_go_on(served: Served) -> None:
    at = now() - HOUR
    good = event("bad", "purchase", at + MINUTE, price=1, user_name="neighbour")
    bad = [
        b"not JSON",
        b"\x00",
        encode(good)[:-20],
        b'["purchase", 1]',
        b'"purchase"',
        b"null",
        encode({name: part for name, part in good.items() if name != "event_type"}),
        encode({**good, "event_type": 7}),
        encode({**good, "event_timestamp": iso(at)}),
        encode({**good, "event_timestamp": 1.5}),
        encode({**good, "arrival_timestamp": "yesterday"}),
        encode({**good, "attributes": ["journey_id", "j1"]}),
        encode({**good, "attributes": {"item": {"sku": 1}}}),
        encode({**good, "metrics": {"price": "much"}}),
        encode({**good, "application": "bad"}),
        encode({**good, "endpoint": []}),
        json.dumps(good).encode("utf-16"),
        b"\xff\xfe\x80" + encode(good),
        encode({**email_click("bad", "e1", "j1", at), "attributes": "none"}),
    ]
    records: list[Json | bytes] = [
        send("bad", "e1", "j1", at - HOUR, user_name="neighbour"),
        email_click("bad", "e1", "j1", at),
    ]
    for number, one in enumerate(bad):
        records += [one, event("bad", "between", at + MINUTE + number, user_name="neighbour")]
    before = quarantine(served)
    served.put(records)
    served.settle()

    new = quarantine(served)[len(before) :]
    assert sorted(base64.b64decode(one["data"]) for one in new) == sorted(bad)
    assert all(one["reason"] for one in new)
    report = served.report("bad")
    assert report["total"]["events"] == {"between": len(bad)}
    assert figures(report, "j1")["events"] == {"between": len(bad)}


def quarantine(served: Served) -> list[dict[str, str]]:
    """All that was set aside, oldest first."""
    s3 = served.client("s3")
    bucket = served.ready["quarantine_bucket"]
    objects = [
        one for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket) for one in page.get("Contents", [])
    ]
    lines = []
    for one in sorted(objects, key=lambda one: (one["LastModified"], one["Key"])):
        lines += s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read().splitlines()
    return [json.loads(line) for line in lines]
