"""Deletes a stack, of the packaged template or of ``infra.deploy``'s data.

    python -m infra.remove STACK [--yes] [--with-data]

Without ``--yes`` it only lists what would be deleted. CloudFormation deletes no bucket that holds objects: exports are
deleted before. Tables, user pools and the quarantine outlive their stack, unless ``--with-data`` is given; for a stack
that is deleted already, name it by its id. Each command may be given again.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, NamedTuple

import typer
from boto3.session import Session
from botocore.exceptions import ClientError, WaiterError

from infra.data_stack import StackFailed, failures

SKIPPED = "DELETE_SKIPPED"
"""What CloudFormation says of a resource that outlives its stack."""

MISSING = ("NoSuchBucket", "ResourceNotFoundException", "404")
"""What services say of a resource that is deleted already."""

app = typer.Typer(help=__doc__, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


class Resource(NamedTuple):
    """A resource of a stack."""

    kind: str
    """CloudFormation's type."""
    id: str
    """Logical id."""
    name: str
    """Physical id."""


class Removal:
    """The removal of one stack."""

    def __init__(self, session: Session, stack: str) -> None:
        self._session = session
        self._cloudformation = session.client("cloudformation")
        # By its id a stack is found for 90 days after its deletion, by its name no more.
        self._stack: str = self._cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackId"]
        self._deleters: dict[str, Callable[[str], None]] = {
            "AWS::DynamoDB::Table": self._delete_table,
            "AWS::Cognito::UserPool": self._delete_pool,
            "AWS::S3::Bucket": self._delete_bucket,
        }

    def resources(self) -> list[Resource]:
        """Those of the stack."""
        pages = self._cloudformation.get_paginator("list_stack_resources").paginate(StackName=self._stack)
        return [
            Resource(one["ResourceType"], one["LogicalResourceId"], one["PhysicalResourceId"])
            for page in pages
            for one in page["StackResourceSummaries"]
            if one.get("PhysicalResourceId")
        ]

    def kept(self) -> list[Resource]:
        """Those that CloudFormation let outlive the stack, or the rollback of its creation."""
        pages = self._cloudformation.get_paginator("describe_stack_events").paginate(StackName=self._stack)
        found = {
            Resource(one["ResourceType"], one["LogicalResourceId"], one["PhysicalResourceId"])
            for page in pages
            for one in page["StackEvents"]
            if one.get("ResourceStatus") == SKIPPED
        }
        return sorted(found)

    def delete_stack(self) -> list[Resource]:
        """Delete the stack and the objects in the buckets that go with it; the resources that are kept.

        Raises
        ------
        StackFailed
            With CloudFormation's reasons.
        """
        for bucket in self._buckets_that_go():
            with _missing_is_fine():
                self.empty(bucket)
        self._cloudformation.delete_stack(StackName=self._stack)
        try:
            self._cloudformation.get_waiter("stack_delete_complete").wait(
                StackName=self._stack, WaiterConfig={"Delay": 2, "MaxAttempts": 900}
            )
        except WaiterError as error:
            raise StackFailed(f"{self._stack}: {failures(self._cloudformation, self._stack) or error}") from error
        return self.kept()

    def _buckets_that_go(self) -> list[str]:
        template: Any = self._cloudformation.get_template(StackName=self._stack)["TemplateBody"]
        stay = {id_ for id_, one in template["Resources"].items() if "DeletionPolicy" in one}
        return [one.name for one in self.resources() if one.kind == "AWS::S3::Bucket" and one.id not in stay]

    def delete(self, resource: Resource) -> bool:
        """Delete a resource that outlived its stack; False for one that is the account's, not the stack's."""
        if resource.kind not in self._deleters:
            return False
        with _missing_is_fine():
            self._deleters[resource.kind](resource.name)
        return True

    def _delete_table(self, name: str) -> None:
        client = self._session.client("dynamodb")
        client.update_table(TableName=name, DeletionProtectionEnabled=False)
        client.get_waiter("table_exists").wait(TableName=name)
        client.delete_table(TableName=name)

    def _delete_pool(self, name: str) -> None:
        client = self._session.client("cognito-idp")
        # Sets back all else that is not named here, of a pool that is deleted in a moment.
        client.update_user_pool(UserPoolId=name, DeletionProtection="INACTIVE")
        client.delete_user_pool(UserPoolId=name)

    def _delete_bucket(self, name: str) -> None:
        self.empty(name)
        self._session.client("s3").delete_bucket(Bucket=name)

    def empty(self, bucket: str) -> None:
        """Delete all objects of a bucket and what is left of uploads."""
        client = self._session.client("s3")
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            if found := [{"Key": one["Key"]} for one in page.get("Contents", ())]:
                client.delete_objects(Bucket=bucket, Delete={"Objects": found, "Quiet": True})  # type: ignore[typeddict-item]
        for uploads in client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
            for one in uploads.get("Uploads", ()):
                client.abort_multipart_upload(Bucket=bucket, Key=one["Key"], UploadId=one["UploadId"])


@contextmanager
def _missing_is_fine() -> Iterator[None]:
    """Each command may be given again, and CloudFormation may have deleted a resource before."""
    try:
        yield
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") not in MISSING:
            raise


@app.command()
def remove(
    stack: Annotated[str, typer.Argument(help="Name of the stack; of a deleted one its id.")],
    yes: Annotated[bool, typer.Option("--yes", help="Delete it; else only list it.")] = False,
    with_data: Annotated[bool, typer.Option("--with-data", help="Tables, user pools and quarantine as well.")] = False,
) -> None:
    """Delete a stack."""
    try:
        removal = Removal(Session(), stack)
    except ClientError as error:
        sys.exit(str(error))
    if not yes:
        for one in removal.resources():
            print(f"{one.kind}  {one.id}  {one.name}")
        print(
            "Nothing is deleted. To delete the stack: --yes; with tables, user pools and quarantine: --yes --with-data"
        )
        return
    try:
        kept = removal.delete_stack()
    except StackFailed as failure:
        sys.exit(str(failure))
    for one in kept:
        deleted = with_data and removal.delete(one)
        print(f"{'deleted' if deleted else 'kept'}  {one.kind}  {one.id}  {one.name}")


if __name__ == "__main__":
    app()
