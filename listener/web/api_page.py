"""The description of the API (OpenAPI) in, a page that a person reads out: no script, no asset of another site."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse

from listener.web import pages
from listener.web.access.rules import RULES
from listener.web.access.who import own_frame

METHODS = ("get", "post", "put", "delete")


@dataclass(frozen=True)
class ApiCall:
    """One thing that a program can ask. scope: of the token; "": no token is good for it, or none is needed."""

    method: str
    path: str
    says: str
    parameters: tuple[str, ...]
    body: str
    roles: str
    scope: str


def add_api_page(app: FastAPI) -> None:
    """Add the page."""

    @app.get("/api", response_class=HTMLResponse, include_in_schema=False)
    def api(request: Request) -> str:
        return pages.render("api.html", own_frame(request, "api"), calls=list(calls_in(app.openapi())))


def calls_in(described: Mapping[str, Any]) -> Iterator[ApiCall]:
    """What a program would ask, in the order of the description: no pages for people."""
    for path, methods in described["paths"].items():
        for method in (one for one in METHODS if one in methods):
            if path.startswith(("/api/", "/metrics", "/healthz")):
                yield _call(method.upper(), path, methods[method], described)


def _call(method: str, path: str, said: Mapping[str, Any], described: Mapping[str, Any]) -> ApiCall:
    rule = RULES[f"{method} {path}"]
    names = sorted(role.value for role in rule.roles)
    return ApiCall(
        method,
        path,
        " ".join(str(said.get("description", "")).split()),
        tuple(f"{one['name']} ({one['in']})" for one in said.get("parameters", ())),
        ", ".join(_body(said, described)),
        "everybody" if rule.everybody else ", ".join(names),
        rule.scope.value if rule.scope is not None else "",
    )


def _body(said: Mapping[str, Any], described: Mapping[str, Any]) -> Iterator[str]:
    """Fields of the JSON that is sent; those that must be there have a star."""
    for content in said.get("requestBody", {}).get("content", {}).values():
        name = str(content["schema"].get("$ref", "")).rpartition("/")[2]
        schema = described.get("components", {}).get("schemas", {}).get(name, {})
        for field in schema.get("properties", {}):
            yield f"{field}*" if field in schema.get("required", ()) else field
