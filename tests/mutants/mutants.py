"""The list of mutants: breakages of rules, kept in ``mutants.toml``."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import NamedTuple

import msgspec

LIST = Path(__file__).with_name("mutants.toml")


class Mutant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One breakage of a rule.

    Attributes
    ----------
    original
        Text that stands exactly once in ``file``; ``replacement`` takes its place.
    tests
        What pytest runs, at least one of which must fail then.
    """

    name: str
    rule: str
    file: str
    original: str
    replacement: str
    tests: tuple[str, ...]

    def applied_to(self, text: str) -> str:
        """The file's text, broken.

        Raises
        ------
        ValueError
            The original does not stand there exactly once: the code changed, and the list must follow.
        """
        if (found := text.count(self.original)) != 1:
            raise ValueError(f"{self.name!r}: its original stands {found} times in {self.file}, not once")
        return text.replace(self.original, self.replacement)


class Listed(NamedTuple):
    """All mutants, and every test that any of them needs, each once."""

    mutants: tuple[Mutant, ...]
    tests: tuple[str, ...]


def listed(named: str = "") -> Listed:
    """The mutants whose name, rule or file holds a text, in the order of the list."""
    every = msgspec.convert(tomllib.loads(LIST.read_text(encoding="utf-8"))["mutant"], tuple[Mutant, ...])
    chosen = tuple(one for one in every if any(named in part for part in (one.name, one.rule, one.file)))
    return Listed(chosen, tuple(dict.fromkeys(test for one in chosen for test in one.tests)))
