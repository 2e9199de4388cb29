"""Personal tokens of the API: who signed in lists, makes and ends his own, on a page and by the API."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi import Path as PathParameter
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from listener.web import pages
from listener.web.access.bodies import form_fields
from listener.web.access.people import LONGEST_DAYS, LONGEST_LABEL, People, made_token
from listener.web.access.who import Person, own_frame, who
from triage.errors import Misconfigured
from workers.access_ports import PersonalToken, TokenScope

Asks = Annotated[Person, Depends(who)]
Key = Annotated[str, PathParameter(pattern=r"^[0-9a-f]{8}$")]
USUAL_DAYS = 90
FRESH = timedelta(minutes=10)  # a password, here or at the identity provider, that was given a moment ago
NOT_FRESH = "Sign in again first: a token lives long, so the password is asked for once more."
SCOPE_WORDS = {
    TokenScope.STUDIES_READ: "read studies, decisions and pictures",
    TokenScope.STUDIES_ACT: "acknowledge, agree, disagree",
    TokenScope.NODE_READ: "see how the node works",
    TokenScope.NODE_CHANGE: "retry deliveries, change the roster, promote from shadow mode",
    TokenScope.METRICS: "read /metrics (Prometheus)",
}
NO_ACCOUNT = "Nobody has to sign in on this node, so nothing needs a token."


class TokenAsked(BaseModel):
    """The body of POST /api/tokens."""

    model_config = ConfigDict(extra="forbid")

    label: Annotated[str, Field(min_length=1, max_length=LONGEST_LABEL)]
    scopes: Annotated[list[TokenScope], Field(min_length=1)]
    days: Annotated[int, Field(ge=1, le=LONGEST_DAYS)] = USUAL_DAYS


def add_tokens(app: FastAPI, people: People | None) -> None:
    """Add the routes."""

    @app.get("/tokens", response_class=HTMLResponse, include_in_schema=False)
    def page(request: Request, person: Asks, ended: str = "") -> str:
        return _page(request, people, person, said="The token is ended." if ended == "1" else None)

    @app.post("/tokens", response_class=HTMLResponse, include_in_schema=False)
    def make(request: Request, person: Asks, fields: Annotated[dict[str, str], Depends(form_fields)]) -> Response:
        """The answer is the only page that ever shows the token."""
        scopes = {scope for scope in TokenScope if fields.get(scope) == "on"}
        days = fields.get("days", "")
        try:
            made = _made(people, person, fields.get("label", ""), scopes, int(days) if days.isdecimal() else 0)
        except Misconfigured as error:
            return HTMLResponse(_page(request, people, person, error=str(error)), status_code=422)
        return HTMLResponse(_page(request, people, person, made=made[0]))

    @app.post("/tokens/end", include_in_schema=False)
    def end(person: Asks, fields: Annotated[dict[str, str], Depends(form_fields)]) -> Response:
        _owner(people, person).accounts.end_token(person.name, fields.get("key", ""))
        return RedirectResponse("/tokens?ended=1", status_code=303)

    @app.get("/api/tokens")
    def own(person: Asks) -> list[dict[str, Any]]:
        """The personal tokens of whoever asks, the newest first; never the token itself."""
        return [token_facts(one) for one in _owner(people, person).accounts.tokens(person.name)]

    @app.post("/api/tokens", status_code=201)
    def made(person: Asks, asked: TokenAsked) -> dict[str, Any]:
        """Make a token. The answer is the only place where it stands."""
        try:
            text, stored = _made(people, person, asked.label, set(asked.scopes), asked.days)
        except Misconfigured as error:
            raise HTTPException(422, str(error)) from error
        return {"token": text, **token_facts(stored)}

    @app.delete("/api/tokens/{key}", status_code=204)
    def revoke(key: Key, person: Asks) -> None:
        """End a token; it counts at once."""
        if not _owner(people, person).accounts.end_token(person.name, key):
            raise HTTPException(404, "no such token")


def token_facts(one: PersonalToken) -> dict[str, Any]:
    """A token as JSON has it, without its hash."""
    return {
        "key": one.key,
        "label": one.label,
        "scopes": sorted(one.scopes),
        "created_at": one.created_at.isoformat(),
        "ends_at": one.ends_at.isoformat(),
        "used_at": None if one.used_at is None else one.used_at.isoformat(),
    }


def _owner(people: People | None, person: Person) -> People:
    if people is None or not person.signed_in:
        raise HTTPException(409, NO_ACCOUNT)
    return people


def _fresh(people: People, person: Person) -> bool:
    return person.proved_at is not None and people.now() - person.proved_at <= FRESH


def _made(
    people: People | None, person: Person, label: str, scopes: set[TokenScope], days: int
) -> tuple[str, PersonalToken]:
    owner = _owner(people, person)
    if not _fresh(owner, person):
        raise HTTPException(403, NOT_FRESH)
    text, stored = made_token(person.name, label, scopes, days, owner.now())
    owner.accounts.add_token(stored)
    return text, stored


def _page(
    request: Request,
    people: People | None,
    person: Person,
    *,
    made: str | None = None,
    said: str | None = None,
    error: str | None = None,
) -> str:
    known = people is not None and person.signed_in
    own = people.accounts.tokens(person.name) if people is not None and known else None
    return pages.render(
        "tokens.html",
        own_frame(request, "tokens"),
        tokens=own,
        scopes=[(scope.value, words) for scope, words in SCOPE_WORDS.items()],
        days=USUAL_DAYS,
        longest=LONGEST_DAYS,
        longest_label=LONGEST_LABEL,
        made=made,
        said=said,
        error=error,
        nobody=NO_ACCOUNT,
        fresh=people is not None and known and _fresh(people, person),
        not_fresh=NOT_FRESH,
    )
