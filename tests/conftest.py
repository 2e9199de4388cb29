"""Examples that tests draw are the same in every run, and a slow machine is no failure. `make nightly` draws others."""

from __future__ import annotations

import structlog
from hypothesis import HealthCheck, settings

settings.register_profile(
    "tests", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "nightly", settings.get_profile("tests"), derandomize=False, max_examples=1000, print_blob=True
)
settings.load_profile("tests")

# a traceback with colours and local values takes seconds to draw, and many tests provoke errors that are logged
_before = structlog.get_config()["processors"][:-1]
structlog.configure(
    processors=[*_before, structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
)
