"""Cold starts: a function imports what it uses and nothing else; `make bench` measures what that takes."""

from __future__ import annotations

import pytest

from tests.deployed.cold_start import HANDLERS, cold_start, median_of

ROUNDS = 9

AREAS = {
    "REST API": ("chalicelib.api.routes", "chalicelib.api.contract"),
    "tokens": ("chalicelib.access", "joserfc", "cryptography"),
    "sources": ("chalicelib.sources", "chalicelib.ingestion", "chalicelib.quarantine"),
    "projection": ("chalicelib.projection.project", "chalicelib.projection.batch"),
    "reports": ("chalicelib.reports.report", "chalicelib.reports.compare", "chalicelib.reports.preview"),
    "jobs": ("chalicelib.jobs.runner", "chalicelib.jobs.store"),
    "exports": ("chalicelib.api.exports",),
    "Cognito": ("chalicelib.campaigns.cognito", "chalicelib.campaigns.sync"),
    "expiry": ("chalicelib.campaigns.expiry",),
    "AWS": ("boto3",),
}
"""Parts of the application, by what is imported where they are used."""

USES = {
    "ingest_events": {"AWS", "sources"},
    "tag_users": {"AWS", "sources"},
    "project_facts": {"AWS", "projection"},
    "sync_campaigns": {"AWS", "Cognito"},
    "expire_campaigns": {"AWS", "expiry"},
    "run_jobs": {"AWS", "jobs"},
    "check_token": {"tokens"},
}
"""At their start. What a job needs is imported with the first job of its kind."""

NOWHERE = {"duckdb", "pytest", "moto", "ministack", "chalice.cli", "chalice.local", "chalice.deploy", "local", "typer"}
"""For development only."""


@pytest.mark.parametrize("function", USES)
def test_a_function_imports_what_it_uses(function: str) -> None:
    modules = cold_start(function).modules
    found = {area for area, names in AREAS.items() if any(name in modules for name in names)}
    assert found == USES[function]
    assert not modules & NOWHERE


def test_the_api_does_without_what_only_streams_need() -> None:
    modules = cold_start("api_handler").modules
    unused = ("chalicelib.ingestion", "chalicelib.projection.project", "chalicelib.campaigns.cognito", "cryptography")
    assert not modules & {*unused, *NOWHERE}
    assert {"chalicelib.api.routes", "chalicelib.reports.report"} <= modules


def test_outside_of_lambda_all_of_the_application_is_registered() -> None:
    # Chalice packages and deploys what it finds registered when it imports app.py.
    from app import app

    assert {one.name for one in app.event_sources} == {
        "ingest_events",
        "project_facts",
        "sync_campaigns",
        "run_jobs",
        "expire_campaigns",
    }
    assert len(app.routes) > 10


@pytest.mark.bench
def test_cold_starts() -> None:
    """Prints the table of docs/deploy.md."""
    print("\n| function | imports and clients, ms of a processor | memory, MB | modules |\n|---|---|---|---|")
    for function in HANDLERS:
        start = median_of([cold_start(function) for _ in range(ROUNDS)])
        print(f"| `{function}` | {start.started_ms:.0f} | {start.memory_mb:.0f} | {len(start.modules)} |")
