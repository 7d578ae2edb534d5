"""Looks for known weaknesses: in the code (bandit), the packaged template (checkov) and the dependencies (pip-audit).

    python -m infra.scan

What is meant to be as it is stands with its reason in ``pyproject.toml`` and ``infra/checkov.yaml``. Scanners other
than bandit live in an environment of their own, made at the first run. pip-audit asks a database on the network; where
that cannot be had, it is said, and is no failure.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

from infra.package import PackagingFailed, package

SCANNED = ("app.py", "chalicelib", "infra", "local")
REQUIREMENTS = Path("requirements-scan.txt")
ENVIRONMENT = Path("build/scan-venv")
PACKAGED = Path("build/package")
AUDIT_S = 180
"""Seconds after which a database counts as unreachable."""


def bandit() -> bool:
    """Whether bandit finds nothing in the code."""
    return _run(sys.executable, "-m", "bandit", "-q", "-c", "pyproject.toml", "-r", *SCANNED).returncode == 0


def checkov(template: Path) -> bool:
    """Whether checkov finds nothing in the packaged template. It needs no network for that."""
    found = _run(
        str(ENVIRONMENT / "bin/checkov"),
        *("--config-file", "infra/checkov.yaml", "--file", str(template), "--compact", "--quiet", "--skip-download"),
    )
    return found.returncode == 0


def pip_audit() -> bool | None:
    """Whether no pinned package has a known weakness; None where the database cannot be asked."""
    try:
        answer = _run(
            str(ENVIRONMENT / "bin/pip-audit"),
            *("--requirement", "requirements-lock.txt", "--no-deps", "--disable-pip", "--progress-spinner", "off"),
            quiet=True,
        )
    except subprocess.TimeoutExpired:
        return None
    said = answer.stdout + answer.stderr
    if "could not be audited" in said or "ConnectionError" in said or "Failed to resolve" in said:
        return None
    print(said)
    return answer.returncode == 0


def prepare() -> None:
    """Make the scanners' environment, unless it is there as it is asked for."""
    stamp = ENVIRONMENT / REQUIREMENTS.name
    wanted = REQUIREMENTS.read_text(encoding="utf-8")
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return
    print(f"installing the scanners into {ENVIRONMENT} (once, 300 MB)", file=sys.stderr)
    venv.create(ENVIRONMENT, clear=True, with_pip=True)
    python = str(ENVIRONMENT / "bin/python")
    subprocess.run([python, "-m", "pip", "install", "-qq", "--require-hashes", "-r", str(REQUIREMENTS)], check=True)
    stamp.write_text(wanted, encoding="utf-8")


def _run(*command: str, quiet: bool = False) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, text=True, capture_output=quiet, timeout=AUDIT_S if quiet else None)


def main() -> None:
    prepare()
    try:
        package(Path.cwd(), "dev", PACKAGED)
    except PackagingFailed as failure:
        sys.exit(str(failure))
    results = {"bandit": bandit(), "checkov": checkov(PACKAGED / "sam.json"), "pip-audit": pip_audit()}
    words = {
        True: "found nothing",
        False: "FOUND SOMETHING",
        None: "did not run: its database cannot be reached",
    }
    for name, result in results.items():
        print(f"{name:10} {words[result]}")
    if False in results.values():
        sys.exit(1)


if __name__ == "__main__":
    main()
