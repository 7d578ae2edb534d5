"""Requests generated from the OpenAPI document, right and wrong ones, against a running ``serve``: no error of the
server, no answer that the document does not tell of, nothing wrong let through. One test for each operation.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.config import (
    CoveragePhaseConfig,
    PhasesConfig,
    ProjectConfig,
    ProjectsConfig,
    SchemathesisConfig,
)
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    ignored_auth,
    missing_required_header,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

# The routes are declared when the application is loaded.
import app  # noqa: F401
from chalicelib.api import openapi
from tests.e2e.support import Served

DEEP = os.environ.get("HYPOTHESIS_PROFILE") == "deep"
EXAMPLES = 200 if DEEP else 5
"""Of each operation, beside those at the edges of what its schemas allow, which are always tried."""
UNUSED = {"PATCH"}
"""Methods that no route has, and Chalice knows. What the others are answered is the gateway's own business."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    missing_required_header,
    unsupported_method,
    allow_header_conformance,
    ignored_auth,
]

DOCUMENT = json.loads(openapi.document())
SCHEMA = schemathesis.openapi.from_dict(
    DOCUMENT,
    config=SchemathesisConfig(
        projects=ProjectsConfig(
            default=ProjectConfig(phases=PhasesConfig(coverage=CoveragePhaseConfig(unexpected_methods=UNUSED)))
        )
    ),
)
OPERATIONS = [one["operationId"] for methods in DOCUMENT["paths"].values() for one in methods.values()]


def _test_of(operation: str) -> Callable[..., None]:
    # Each has a function of its own: parametrized, schemathesis gives them all one name, of which xdist runs one.
    @pytest.mark.timeout(1_800 if DEEP else 120)
    @SCHEMA.include(operation_id=operation).parametrize()
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=not DEEP)
    def test(case: Case[Any], served: Served) -> None:
        case.call_and_validate(
            base_url=served.ready["api"],
            headers={"Authorization": f"Bearer {served.ready['tokens']['admin']}"},
            checks=CHECKS,
        )

    found: Callable[..., None] = test
    return found


for _operation in OPERATIONS:
    globals()[f"test_answers_as_documented_{_operation}"] = _test_of(_operation)
