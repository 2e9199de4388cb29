"""Examples that tests draw are the same in every run, and a slow machine is no failure. `make nightly` draws others."""

from __future__ import annotations

import gc
from collections.abc import Generator, Iterator

import pytest
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


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """A test that configures the log and leaves it so would have all later ones draw such tracebacks."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


# A test process takes a whole file. A long one that begins last keeps one process busy while the others are idle. Files
# that wait (chaos, servers) stand between those that compute, so that the cores have work throughout.
LONG_FILES = (
    "tests/chaos/test_kill.py",
    "tests/acceptance/test_real_pairs.py",
    "tests/chaos/test_hosts.py",
    "tests/triage/test_assessment.py",
    "tests/workers/histories/test_odd_interleavings.py",
    "tests/workers/histories/test_even_interleavings.py",
    "tests/chaos/test_bad_study.py",
    "tests/workers/histories/test_histories.py",
    "tests/test_docs.py",
    "tests/chaos/test_damaged_index.py",
    "tests/workers/outputs/dicom/test_objects.py",
    "tests/workers/priors/test_real_archives.py",
    "tests/chaos/test_stopped.py",
    "tests/workers/deliveries/test_images_reach_real_peers.py",
    "tests/chaos/test_feeds.py",
)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported and collected stays until the end. The garbage collector looked at it again and again in each
    test process: a third of what they did before their first test."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    rank = {path: number for number, path in enumerate(LONG_FILES)}
    items.sort(key=lambda item: rank.get(item.nodeid.split("::")[0], len(rank)))
