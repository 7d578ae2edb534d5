"""One running ``serve`` for all scenarios, which use applications of their own."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.e2e.support import NAMES, Served, serving


@pytest.fixture(scope="package")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A running ``serve`` that knows the `NAMES` of journeys; at the end it must stop well."""
    directory = tmp_path_factory.mktemp("serve")
    names = directory / "journeys.json"
    names.write_text(json.dumps(NAMES))
    with serving(directory / "stderr.log", "--expire-every", "1", "--journeys", str(names)) as system:
        yield system
