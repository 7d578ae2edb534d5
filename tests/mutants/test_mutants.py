"""The list of mutants keeps up with the code. That each is caught is what ``make mutants`` shows."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

from tests.mutants.mutants import Mutant, listed

ROOT = Path(__file__).parents[2]
MUTANTS = listed().mutants


def test_there_are_enough_and_no_two_of_one_name() -> None:
    assert len(MUTANTS) >= 35
    assert max(Counter(one.name for one in MUTANTS).values()) == 1


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda one: one.name)
def test_a_mutant_changes_what_the_code_does(mutant: Mutant) -> None:
    # Catches: a list that rots as the code changes; a change of comments or of layout alone; code that is no Python.
    text = (ROOT / mutant.file).read_text(encoding="utf-8")
    assert ast.dump(ast.parse(mutant.applied_to(text))) != ast.dump(ast.parse(text))


@pytest.mark.parametrize("test", listed().tests)
def test_the_tests_that_catch_mutants_exist(test: str) -> None:
    file, _, function = test.partition("::")
    assert f"def {function}" in (ROOT / file).read_text(encoding="utf-8")
