"""Builds what gets deployed: the Lambda zip and the SAM template, into an output folder.

    python -m infra.package [--stage dev] OUTPUT

Chalice does the work, in a temporary copy that holds only what may be shipped, for two reasons: it packs all of
chalicelib/, caches of Python and of tools included, and it would reuse a zip it made earlier in .chalice/deployments.
The libraries are installed into the copy's vendor/ before, from requirements.txt by hash and for Lambda's Python and
processor: Chalice would download them without hashes, for the Python that packages. The same commit gives the same
zip, byte for byte, whenever and with whichever Python it is built. Needs no AWS account.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from infra.merge import merged_parts

SHIPPED = ("app.py", "chalicelib", ".chalice/config.json", ".chalice/policies")
NOT_SHIPPED = ("__pycache__", "*.pyc", ".*_cache")

REGION = "us-east-1"
"""Chalice asks for a region though its template names none: the region is that of the stack. Any will do."""

RUNTIME = "lambda_runtime"
"""Key in .chalice/config.json of what Lambda runs the functions on. Chalice does not know it: see ``CHALICE``."""

CHALICE = (
    "import sys; from chalice.config import Config; Config.lambda_python_version = sys.argv.pop(1); "
    "from chalice.cli import main; sys.exit(main())"
)
"""Chalice's command line, with the runtime as its first argument: Chalice takes that of the Python that it runs on.
It has no ``__main__``, and its script names an absolute path, which a moved project no longer has."""

MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}
"""What wheels call Lambda's processors."""

GLIBC = range(17, 35)
"""Minor versions of glibc 2 whose wheels run on Lambda's Amazon Linux 2023. pip takes a platform literally."""

NOT_NEEDED = ("bin", "*.dist-info/RECORD", "*.dist-info/INSTALLER", "*.dist-info/REQUESTED")
"""What pip writes of the installation itself. Scripts name the Python of the machine that packages."""

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The first time that a zip can hold: files in ours are of no time."""
READABLE = 0o100644
"""A plain file that Lambda's user may read, whatever the umask of who packages."""


class PackagingFailed(Exception):
    """The application could not be packaged; the message is what pip or Chalice said."""


def package(project: Path, stage: str, output: Path) -> None:
    """Write ``deployment.zip`` and ``sam.json`` for a stage of ``project`` into ``output``.

    Raises
    ------
    PackagingFailed
        The application cannot be imported, a dependency has no wheel for Lambda, or the configuration is wrong.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "project")
        copy_shipped(project, copy)
        template = Path(folder, "merged.json")
        template.write_text(merged_parts(project), encoding="utf-8")
        built = Path(folder, "built")
        _chalice("package", "--stage", stage, "--merge-template", str(template), str(built), project=copy)
        output.mkdir(parents=True, exist_ok=True)
        for result in built.iterdir():
            if result.suffix == ".zip":
                _rewrite(result, output / result.name)
            else:
                shutil.move(result, output / result.name)


def copy_shipped(project: Path, copy: Path) -> None:
    """Copy what may be shipped, and install the libraries, which Chalice takes from ``vendor/``.

    Raises
    ------
    PackagingFailed
        A library has no wheel for Lambda, or its file is not one of those that requirements.txt names by hash.
    """
    for name in SHIPPED:
        _copy(project / name, copy / name)
    # For Chalice there is nothing left to install.
    Path(copy, "requirements.txt").touch()
    _install(
        project / "requirements.txt",
        copy / "vendor",
        setting(project, RUNTIME),
        setting(project, "lambda_architecture"),
    )


def setting(project: Path, key: str) -> str:
    """What .chalice/config.json says for all stages."""
    return str(json.loads((project / ".chalice/config.json").read_text(encoding="utf-8"))[key])


def _install(requirements: Path, target: Path, runtime: str, architecture: str) -> None:
    machine = MACHINES[architecture]
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in GLIBC] + [f"manylinux2014_{machine}"]
    _run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"),
            *("--require-hashes", "--no-deps", "--only-binary=:all:", "--implementation", "cp"),
            *("--python-version", runtime.removeprefix("python")),
            *(word for one in platforms for word in ("--platform", one)),
            *("--target", str(target), "--requirement", str(requirements)),
        ],
        requirements.parent,
    )
    for pattern in NOT_NEEDED:
        for found in target.glob(pattern):
            shutil.rmtree(found) if found.is_dir() else found.unlink()


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns(*NOT_SHIPPED))
    else:
        shutil.copyfile(source, target)


def _rewrite(built: Path, target: Path) -> None:
    """Write a zip anew so that it says nothing but names and contents: in order, of no time, readable by all."""
    with ZipFile(built) as source, ZipFile(target, "w") as rewritten:
        for name in sorted(source.namelist()):
            entry = ZipInfo(name, EPOCH)
            entry.external_attr = READABLE << 16
            entry.create_system = 3  # Unix
            rewritten.writestr(entry, source.read(name), ZIP_DEFLATED, 9)


def _chalice(*arguments: str, project: Path) -> None:
    _run([sys.executable, "-c", CHALICE, setting(project, RUNTIME), *arguments], project)


def _run(command: list[str], folder: Path) -> None:
    environment = {"AWS_DEFAULT_REGION": REGION, **os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    run = subprocess.run(command, cwd=folder, env=environment, text=True, capture_output=True, check=False)
    if run.returncode:
        raise PackagingFailed(run.stdout + run.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m infra.package", description="Build the Lambda zip and its template."
    )
    parser.add_argument("--stage", default="dev", help="stage of .chalice/config.json (default: dev)")
    parser.add_argument("output", type=Path, metavar="OUTPUT", help="folder for deployment.zip and sam.json")
    chosen = parser.parse_args()
    try:
        package(Path.cwd(), chosen.stage, chosen.output)
    except PackagingFailed as failure:
        sys.exit(str(failure))
    size = (chosen.output / "deployment.zip").stat().st_size
    digest = hashlib.sha256((chosen.output / "deployment.zip").read_bytes()).hexdigest()
    print(f"{chosen.output}/deployment.zip ({size / 1e6:.1f} MB, SHA-256 {digest}) and {chosen.output}/sam.json")


if __name__ == "__main__":
    main()
