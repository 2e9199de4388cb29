"""Every route by every role: what the table of rules says is what a person meets."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.routing import APIRoute

from listener.web.access.rules import ASSET, RULES, RouteRule, keys_of, require_rules
from tests.listener.web.signing import Secured
from triage.errors import Misconfigured
from workers.access_ports import Role

WHOEVER = [None, *Role]
REFUSALS = (401, 403)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Secured:
    return Secured(tmp_path_factory.mktemp("site"))


def expected(rule: RouteRule, role: Role | None) -> str:
    if rule.everybody:
        return "let in"
    return "sign in" if role is None else "let in" if role in rule.roles else "not for this role"


def test_the_table_names_every_route_and_nothing_else(secured: Secured) -> None:
    assert set(keys_of(secured.app.routes)) == set(RULES)


@pytest.mark.parametrize("role", WHOEVER)
def test_every_route_by_role(secured: Secured, role: Role | None) -> None:
    met, wanted = {}, {}
    for key, rule in RULES.items():
        method, path = key.split()
        if path == "/events" and expected(rule, role) == "let in":
            continue  # its answer has no end
        browser = secured.browser() if role is None else secured.signed_in(role)
        csrf = browser.page("/login").status_code and browser.get("/api/session").json().get("csrf", "")
        answer = browser.request(method, path.replace("{uid}", "1.2.3"), headers={"X-CSRF-Token": csrf})
        said = {401: "sign in", 403: "not for this role"}.get(answer.status_code, "let in")
        if key == "POST /login" and role is None:
            assert (answer.status_code, answer.json()["detail"][:11]) == (403, "the page is"), "it has no token"
            said = "let in"
        met[key], wanted[key] = said, expected(rule, role)
    assert met == wanted


def test_what_nobody_is_asked_for_changes_nothing() -> None:
    assert {key.partition(" ")[0] for key, rule in RULES.items() if rule is ASSET} == {"GET"}


def test_no_route_is_open_for_a_role_that_the_table_does_not_name(secured: Secured) -> None:
    """Nobody without a role sees a patient; the service sees none either."""
    patients = [key for key in RULES if "/studies" in key or key == "GET /"]
    assert [key for key in patients if RULES[key].everybody or Role.SERVICE in RULES[key].roles] == []


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_a_route_without_a_rule_is_closed(secured: Secured, method: str) -> None:
    route = APIRoute("/forgotten", lambda: "open", methods=["GET", "POST"])
    secured.app.router.routes.append(route)
    try:
        with pytest.raises(Misconfigured, match="GET /forgotten"):
            require_rules(secured.app.routes)
        browser = secured.signed_in(Role.ADMINISTRATOR)
        answer = browser.request(method, "/forgotten")
        assert answer.status_code in ((403,) if method != "HEAD" else (403, 405))
    finally:
        secured.app.router.routes.remove(route)


@pytest.mark.parametrize(("path", "status"), [("/nowhere", 404), ("/api/nowhere", 404)])
def test_noop_what_is_not_there_is_not_found(secured: Secured, path: str, status: int) -> None:
    assert secured.browser().get(path).status_code == status


def test_a_wrong_method_is_no_way_in(secured: Secured) -> None:
    assert secured.browser().head("/api/studies").status_code in (401, 405)
    assert secured.browser().put("/api/studies").status_code == 405


def test_without_the_gate_nobody_is_known(tmp_path: Path) -> None:
    secured = Secured(tmp_path)
    secured.app.user_middleware.clear()
    assert secured.browser().page("/").status_code == 403
