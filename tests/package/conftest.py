"""The application packaged exactly as ``make package`` does it, once for each module of tests."""

from __future__ import annotations

import json
from pathlib import Path

import boto3
import pytest
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

from infra.package import package
from tests.package.template import Template

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with ``deployment.zip`` and ``sam.json`` of stage dev."""
    output = tmp_path_factory.mktemp("package")
    with pytest.MonkeyPatch.context() as environment:
        # What a test session sets must not help: a new user's shell has none of it.
        for name in ("EVENT_STREAM", "FACTS_STREAM_ARN", "VIEWS_STREAM_ARN", "FACTS_TABLE", "VIEWS_TABLE"):
            environment.delenv(name, raising=False)
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        package(PROJECT, "dev", output)
    return output


@pytest.fixture(scope="module")
def deployed(built: Path) -> Template:
    """Resources by logical id after the SAM transform."""
    template = json.loads((built / "sam.json").read_text(encoding="utf-8"))
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            # As `aws cloudformation package` does, which uploads the zip.
            resource["Properties"]["CodeUri"] = "s3://bucket/deployment.zip"
    translator = Translator({}, Parser(), boto_session=boto3.Session(region_name="us-east-1"))
    resources: Template = translator.translate(template, {})["Resources"]
    return resources
