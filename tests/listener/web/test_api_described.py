"""The API does what its description says, whatever a program sends: schemathesis against the live application."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings

from listener.web.access.rules import RULES
from listener.web.app import create_app
from tests.listener.web.serving import serving
from tests.listener.web.signing import Secured
from tests.listener.web.stored import StoredStudy, store
from workers.config import Settings
from workers.index.node_index import open_node_index
from workers.settings import StoreSettings
from workers.web_settings import WebSettings

if TYPE_CHECKING:  # every test process collects this file, and one of them needs the library, which loads for a second
    import schemathesis
    from schemathesis.schemas import APIOperation

SHORT, LONG = 10, 200  # requests for one call; the second in `make nightly`
UID = "1.2.3"


def expected(path: str) -> list[Any]:
    """What a check takes for a fault: 503 says that something is wrong; no JSON schema says what CSV is."""
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import positive_data_acceptance

    return {"/healthz": [not_a_server_error], "/api/roster": [positive_data_acceptance]}.get(path, [])


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A node without accounts: whoever asks may everything, so that every call is reached."""
    store_settings = StoreSettings(state_dir=tmp_path_factory.mktemp("state"), min_free_bytes=0)
    site = Settings(store=store_settings, web=WebSettings(port=0))
    index = open_node_index(site)
    store(index, StoredStudy(UID), now=datetime.now(UTC))
    with serving(site) as address:
        yield address
    index.close()


def described(tmp_path: Path) -> set[str]:
    """ "GET /api/studies" of everything that the description has."""
    paths = create_app(Secured(tmp_path).site).openapi()["paths"]
    return {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}


def test_the_description_names_the_api_and_nothing_else(tmp_path: Path) -> None:
    api = {key for key in RULES if key.partition(" ")[2].startswith(("/api/", "/metrics", "/healthz"))}
    assert described(tmp_path) == api - {"GET /api/openapi.json"}


def operations(url: str) -> list[APIOperation]:
    import schemathesis

    schema = schemathesis.openapi.from_url(f"{url}/api/openapi.json")
    return [found.ok() for found in schema.get_all_operations()]


@pytest.mark.hypothesis
def test_no_call_answers_otherwise_than_described(url: str) -> None:
    """One test for all calls: loading the description costs more than asking one."""
    asked = operations(url)
    assert len(asked) >= 15
    for operation in asked:
        ask_often(operation)


def ask_often(operation: APIOperation) -> None:
    """Raises what schemathesis finds."""
    excluded = expected(operation.path)

    @settings(
        max_examples=SHORT if settings.default.max_examples <= 100 else LONG,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def answers(case: schemathesis.Case) -> None:
        case.call_and_validate(excluded_checks=excluded)

    answers()
