"""The same commit gives the same package, and nothing is installed that a lock does not name by hash."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from zipfile import ZipFile

import pytest

from infra.package import RUNTIME, SHIPPED, PackagingFailed, package

PROJECT = Path(__file__).parents[2]
LOCKS = {
    "requirements.txt": "requirements.in",
    "requirements-lock.txt": "requirements-dev.txt",
    "requirements-scan.txt": "requirements-scan.in",
}
"""By what they are the locks of."""

PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[a-z0-9,_-]+\])?==([^\s;]+)", re.MULTILINE)


def normal(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(text: str) -> dict[str, str]:
    """Versions by name."""
    return {normal(name): version for name, version in PINNED.findall(text)}


def read(name: str) -> str:
    return (PROJECT / name).read_text(encoding="utf-8")


def wanted(name: str) -> dict[str, str]:
    """What a file of wishes pins, those that it includes as well."""
    text = read(name)
    found = pinned(text)
    for included in re.findall(r"^-r (\S+)", text, re.MULTILINE):
        found |= wanted(included)
    return found


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another clone of the same commit: other folder, other times, other rights, other order of creation."""
    clone = tmp_path_factory.mktemp("clone") / "of-another-name"
    shutil.copytree(PROJECT / "infra", clone / "infra", ignore=shutil.ignore_patterns("__pycache__"))
    for name in reversed(("requirements.txt", *SHIPPED)):
        source, target = PROJECT / name, clone / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copyfile(source, target)
    for folder, folders, files in os.walk(clone):
        for one in (*folders, *files):
            path = Path(folder, one)
            path.chmod(0o700)
            os.utime(path, (1_000_000_000, 1_000_000_000))
    return clone


def test_the_same_commit_gives_the_same_package_anywhere(built: Path, elsewhere: Path, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        package(elsewhere, "dev", tmp_path)
    finally:
        os.umask(before)
    for name in ("deployment.zip", "sam.json"):
        assert (tmp_path / name).read_bytes() == (built / name).read_bytes(), name


def test_entries_of_the_zip_are_sorted_of_no_time_and_readable_by_lambda(built: Path) -> None:
    with ZipFile(built / "deployment.zip") as archive:
        entries = archive.infolist()
    assert [one.filename for one in entries] == sorted(one.filename for one in entries)
    assert {one.date_time for one in entries} == {(1980, 1, 1, 0, 0, 0)}
    # Plain files, read by owner, group and others; no folder of their own.
    assert {one.external_attr >> 16 for one in entries} == {0o100644}


def test_nothing_in_the_zip_names_the_machine_that_built_it(built: Path) -> None:
    with ZipFile(built / "deployment.zip") as archive:
        assert not [name for name in archive.namelist() if str(PROJECT).encode() in archive.read(name)]


def test_compiled_libraries_are_those_of_the_runtime(built: Path) -> None:
    runtime = json.loads(read(".chalice/config.json"))[RUNTIME]
    assert runtime == "python3.13"
    with ZipFile(built / "deployment.zip") as archive:
        tags = {found[1] for name in archive.namelist() if (found := re.search(r"\.cpython-(\d+)-", name))}
    assert tags == {runtime.removeprefix("python").replace(".", "")}


def test_a_file_whose_hash_is_not_in_the_lock_is_not_packaged(elsewhere: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed"
    shutil.copytree(elsewhere, changed)
    lock = changed / "requirements.txt"
    entry = re.search(r"^tzdata==.*\n(?:    .*\n)+", lock.read_text(encoding="utf-8"), re.MULTILINE)
    assert entry is not None
    lock.write_text(re.sub(r"sha256:[0-9a-f]{64}", f"sha256:{'0' * 64}", entry[0]), encoding="utf-8")
    with pytest.raises(PackagingFailed, match="tzdata"):
        package(changed, "dev", tmp_path / "output")


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_each_package_by_version_and_hash_and_no_place(name: str) -> None:
    entries = re.split(r"\n(?! )", re.sub(r"^#.*\n", "", read(name)).strip())
    assert len(entries) == len(PINNED.findall(read(name))) > 0
    for entry in entries:
        assert re.fullmatch(r"[^\n]+ \\(\n    --hash=sha256:[0-9a-f]{64}( \\)?)+", entry), entry
    assert "://" not in read(name)


@pytest.mark.parametrize(("lock", "wishes"), LOCKS.items())
def test_a_lock_has_all_that_is_wished_for_in_the_same_version(lock: str, wishes: str) -> None:
    assert wanted(wishes).items() <= pinned(read(lock)).items()


def test_what_is_shipped_is_what_is_tested() -> None:
    assert pinned(read("requirements.txt")).items() <= pinned(read("requirements-lock.txt")).items()


def test_setup_installs_by_hash_and_pip_itself_is_pinned_by_hash() -> None:
    makefile = read("Makefile")
    installs = re.findall(r"pip install.*", makefile)
    assert [one for one in installs if "--require-hashes" not in one] == ["pip install -qq $(UV)"]
    version = re.search(r"^PIP := pip==(\S+) \\\n((?:  --hash=sha256:[0-9a-f]{64}.*\n)+)", makefile, re.MULTILINE)
    assert version is not None
    assert pinned(read("requirements-lock.txt"))["pip"] == version[1]
