"""The application's functions on MiniStack's Lambda, so that they can be invoked by name as in AWS.

No event source mappings: those are the pumps (MiniStack's own lose the records behind a partial failure).
"""

from __future__ import annotations

import io
import sys
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from local.stack import PROJECT

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_lambda.literals import RuntimeType

ROLE_ARN = "arn:aws:iam::000000000000:role/local"
RESERVED = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION")
"""Variables that Lambda sets itself and refuses to be given."""
SHIPPED_SUFFIXES = (".py", ".json", ".html", ".css", ".js", ".svg")


class FunctionConfig(NamedTuple):
    """A function as ``.chalice/config.json`` sets it."""

    name: str
    memory_mb: int
    timeout_s: int


def deployment_zip(project: Path = PROJECT) -> bytes:
    """app.py and chalicelib; their dependencies MiniStack's Lambda finds in the interpreter it runs on."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(project / "app.py", "app.py")
        for path in sorted((project / "chalicelib").rglob("*")):
            if path.suffix in SHIPPED_SUFFIXES:
                archive.write(path, path.relative_to(project).as_posix())
    return content.getvalue()


def register_functions(
    client: LambdaClient,
    functions: Iterable[FunctionConfig],
    environment: Mapping[str, str],
    prefix: str,
    code: bytes | None = None,
) -> dict[str, str]:
    """Create or update the functions; their names in Lambda, by their names in app.py.

    Whatever fails raises: a function that cannot be invoked is not part of the system.
    """
    content = deployment_zip() if code is None else code
    variables = {name: value for name, value in environment.items() if name not in RESERVED}
    names = {}
    for function in functions:
        names[function.name] = f"{prefix}-{function.name}"
        _put(client, names[function.name], function, variables, content)
    return names


def _put(
    client: LambdaClient, name: str, function: FunctionConfig, variables: Mapping[str, str], content: bytes
) -> None:
    settings: dict[str, Any] = {
        "FunctionName": name,
        "Handler": f"app.{function.name}",
        "Runtime": _runtime(),
        "Role": ROLE_ARN,
        "MemorySize": function.memory_mb,
        "Timeout": function.timeout_s,
        "Environment": {"Variables": dict(variables)},
    }
    try:
        client.create_function(Code={"ZipFile": content}, **settings)
    except client.exceptions.ResourceConflictException:
        # A kept data directory: the code and the ports are today's.
        client.update_function_configuration(**settings)
        client.update_function_code(FunctionName=name, ZipFile=content)


def _runtime() -> RuntimeType:
    runtimes: dict[tuple[int, int], RuntimeType] = {
        (3, 11): "python3.11",
        (3, 12): "python3.12",
        (3, 13): "python3.13",
        (3, 14): "python3.14",
    }
    return runtimes.get(sys.version_info[:2], "python3.14")
