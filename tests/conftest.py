"""Examples that tests draw are the same in every run, and a slow machine is no failure: random search is for bench/."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "tests", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("tests")
