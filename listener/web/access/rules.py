"""One table: every route of the application and who may use it. What is not in the table is closed.

A new route needs its line in ``RULES``; ``create_app`` refuses an application with a route that has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from starlette.routing import BaseRoute, Match, Mount
from starlette.types import Scope as AsgiScope

from triage.errors import Misconfigured
from workers.access_ports import Role, TokenScope


@dataclass(frozen=True, eq=False)
class RouteRule:
    """Who may use a route.

    roles: of the person; empty with ``everybody``: nobody has to sign in. scope: what a personal token must have for
    it; None: no token is good for it.
    """

    roles: frozenset[Role] = frozenset()
    scope: TokenScope | None = None
    everybody: bool = False


EVERYBODY = RouteRule(everybody=True)  # no patient, nothing that changes the node
ASSET = RouteRule(
    everybody=True
)  # the same, only for GET, and nobody asks who it is: it answers also when the index is away
SIGNED_IN = RouteRule(frozenset(Role))  # no token: a token must not make another one
PATIENTS = RouteRule(frozenset({Role.READER, Role.ADMINISTRATOR}), TokenScope.STUDIES_READ)
# the same, loaded by a page of theirs that is on record: such a route counts as looked at only when a program asks
PAGE_PARTS = RouteRule(PATIENTS.roles, PATIENTS.scope)
ACTS = RouteRule(frozenset({Role.READER, Role.ADMINISTRATOR}), TokenScope.STUDIES_ACT)
NODE = RouteRule(frozenset({Role.SERVICE, Role.ADMINISTRATOR}), TokenScope.NODE_READ)
METRICS = RouteRule(frozenset({Role.SERVICE, Role.ADMINISTRATOR}), TokenScope.METRICS)
OPERATE = RouteRule(frozenset({Role.ADMINISTRATOR}), TokenScope.NODE_CHANGE)

# "METHOD path of the route" -> rule; HEAD counts as GET
RULES = {
    "GET /login": EVERYBODY,
    "POST /login": EVERYBODY,
    "GET /login/provider": EVERYBODY,
    "GET /login/back": EVERYBODY,
    "POST /logout": SIGNED_IN,
    "GET /api/session": SIGNED_IN,
    "POST /api/session/activity": SIGNED_IN,
    "POST /api/session/keys": SIGNED_IN,
    "GET /tokens": SIGNED_IN,
    "POST /tokens": SIGNED_IN,
    "POST /tokens/end": SIGNED_IN,
    "GET /api/tokens": SIGNED_IN,
    "POST /api/tokens": SIGNED_IN,
    "DELETE /api/tokens/{key}": SIGNED_IN,
    "GET /static": ASSET,
    "GET /healthz": ASSET,  # states and numbers only; a container asks it
    "GET /metrics": METRICS,
    "GET /api": SIGNED_IN,
    "GET /api/openapi.json": SIGNED_IN,
    "GET /": PATIENTS,
    "GET /rows": PAGE_PARTS,
    "POST /api/worklist": PATIENTS,
    "GET /api/views": PAGE_PARTS,
    "POST /api/views": ACTS,
    "DELETE /api/views/{number}": ACTS,
    "POST /views": ACTS,
    "POST /views/drop": ACTS,
    "GET /studies/{uid}/patient": PATIENTS,
    "GET /api/studies/{uid}/patient": PATIENTS,
    "GET /operations": NODE,
    "POST /operations/retry": OPERATE,
    "POST /operations/study": OPERATE,
    "POST /api/studies/{uid}/retry": OPERATE,
    "GET /operations/roster": OPERATE,
    "POST /operations/roster": OPERATE,
    "POST /api/roster": OPERATE,
    "GET /api/set-aside": PATIENTS,
    "GET /api/studies/{uid}/set-aside": PATIENTS,
    "POST /api/studies/{uid}/set-aside": OPERATE,
    "GET /api/node": NODE,
    "GET /api/deliveries": NODE,
    "POST /api/deliveries/{number}/retry": OPERATE,
    "POST /api/deliveries/{number}/release": OPERATE,
    "POST /operations/release": OPERATE,
    "GET /api/stages": NODE,
    "POST /api/stages/promote": OPERATE,
    "POST /api/stages/demote": OPERATE,
    "POST /operations/stage": OPERATE,
    "POST /search": PATIENTS,
    "GET /events": PAGE_PARTS,
    "GET /api/studies/{uid}/small.png": PAGE_PARTS,
    "GET /studies/{uid}": PATIENTS,
    "GET /api/studies": PATIENTS,
    "GET /api/studies/{uid}": PATIENTS,
    "GET /api/studies/{uid}/versions": PATIENTS,
    "GET /api/studies/{uid}/codes": PATIENTS,
    "GET /api/studies/{uid}/evidence.png": PAGE_PARTS,
    "GET /api/studies/{uid}/deliveries": PATIENTS,
    "POST /api/studies/{uid}/deliveries/release": ACTS,
    "POST /studies/{uid}/release": ACTS,
    "GET /api/studies/{uid}/acts": PATIENTS,
    "GET /api/studies/{uid}/assessments": PATIENTS,
    "POST /api/studies/{uid}/acts": ACTS,
    "POST /studies/{uid}/acts": ACTS,
    "GET /agreement": PATIENTS,
    "GET /api/agreement": PATIENTS,
    "GET /api/studies/{uid}/viewer": PAGE_PARTS,
    "GET /api/studies/{uid}/viewer/{version}/{volume}": PAGE_PARTS,
    "GET /api/studies/{uid}/viewer/{version}/{volume}/axial/{number}": PAGE_PARTS,
}


def may_open(path: str, role: Role | None) -> bool:
    """Whether a page is for a role. path: as its route has it."""
    return role in RULES[f"GET {path}"].roles


def keys_of(routes: Iterable[BaseRoute]) -> Iterator[str]:
    """What each route is called in the table."""
    for route in routes:
        path = getattr(route, "path", "")
        methods = {"GET"} if isinstance(route, Mount) else set(getattr(route, "methods", None) or {"?"})
        for method in sorted(methods - {"HEAD"}):
            yield f"{method} {path}"


def require_rules(routes: Iterable[BaseRoute]) -> None:
    """Does nothing when each route has its rule.

    Raises:
        Misconfigured: one has none: nobody decided who may use it.
    """
    without = [key for key in keys_of(routes) if key not in RULES]
    if without:
        raise Misconfigured(f"no rule says who may use {', '.join(without)}: add it to listener/web/access/rules.py")


def rule_of(routes: Iterable[BaseRoute], scope: AsgiScope) -> RouteRule | None:
    """The rule of the route that will answer; ASSET when none will (404, 405); None: nobody decided."""
    found = route_asked(routes, scope)
    return ASSET if found is None else RULES.get(found[0])


def route_asked(routes: Iterable[BaseRoute], scope: AsgiScope) -> tuple[str, Mapping[str, str]] | None:
    """What the route that will answer is called in the table, and what stands in its path; None: none will."""
    method = "GET" if scope["method"] == "HEAD" else scope["method"]
    for route in routes:
        match, inside = route.matches(scope)
        if match is Match.FULL:
            key = "GET" if isinstance(route, Mount) else method
            return f"{key} {getattr(route, 'path', '')}", inside.get("path_params", {})
    return None
