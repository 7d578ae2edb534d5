"""All routes of the REST API: each module declares its own on the one blueprint."""

from chalicelib.api import (
    compare_routes,
    event_routes,
    job_routes,
    journey_routes,
    report_routes,
    settings_routes,
    system_routes,
    user_routes,
    window_routes,
)
from chalicelib.api.blueprint import routes

__all__ = [
    "compare_routes",
    "event_routes",
    "job_routes",
    "journey_routes",
    "report_routes",
    "routes",
    "settings_routes",
    "system_routes",
    "user_routes",
    "window_routes",
]
