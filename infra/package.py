"""Builds what gets deployed: the Lambda zip and the SAM template, into an output folder.

    python -m infra.package [--stage dev] OUTPUT

Chalice does the work, in a temporary copy that holds only what may be shipped, for two reasons: it packs all of
chalicelib/, caches of Python and of tools included, and it would reuse a zip it made earlier in .chalice/deployments.
Needs no AWS account; pip downloads the wheels for Lambda's arm64 processors.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from infra.merge import merged_parts

SHIPPED = ("app.py", "requirements.txt", "chalicelib", ".chalice/config.json", ".chalice/policies")
NOT_SHIPPED = ("__pycache__", "*.pyc", ".*_cache")

REGION = "us-east-1"
"""Chalice asks for a region though its template names none: the region is that of the stack. Any will do."""

CHALICE = "import sys; from chalice.cli import main; sys.exit(main())"
"""Chalice has no ``__main__``, and its script names an absolute path, which a moved project no longer has."""


class PackagingFailed(Exception):
    """Chalice could not package the application; the message is what it said."""


def package(project: Path, stage: str, output: Path) -> None:
    """Write ``deployment.zip`` and ``sam.json`` for a stage of ``project`` into ``output``.

    Raises
    ------
    PackagingFailed
        The application cannot be imported, a dependency has no wheel for Lambda, or the configuration is wrong.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "project")
        for name in SHIPPED:
            _copy(project / name, copy / name)
        template = Path(folder, "merged.json")
        template.write_text(merged_parts(project), encoding="utf-8")
        built = Path(folder, "built")
        _chalice("package", "--stage", stage, "--merge-template", str(template), str(built), project=copy)
        output.mkdir(parents=True, exist_ok=True)
        for result in built.iterdir():
            shutil.move(result, output / result.name)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns(*NOT_SHIPPED))
    else:
        shutil.copyfile(source, target)


def _chalice(*arguments: str, project: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", CHALICE, *arguments],
        cwd=project,
        env={"AWS_DEFAULT_REGION": REGION, **os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        text=True,
        capture_output=True,
        check=False,
    )
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
    print(f"{chosen.output}/deployment.zip ({size / 1e6:.1f} MB) and {chosen.output}/sam.json")


if __name__ == "__main__":
    main()
