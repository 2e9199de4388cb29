"""The person behind a request, for whoever answers it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from fastapi import HTTPException, Request

from listener.web.access.rules import may_open
from listener.web.frame import PLACES, PageFrame, frame_for
from workers.access_ports import KeyUse, Role, TokenScope

KEY = "icansee.person"
NAME_GIVEN = "icansee.name_given"  # at a sign-in: the name that was typed
REFUSED_PLACE = "icansee.refused_place"  # the gate refused somebody who is signed in: what was asked for
THIS_MACHINE = "this machine"  # no account can have this name


@dataclass(frozen=True)
class Person:
    """Who asks. role: None for a visitor who has not signed in.

    csrf: what forms send back in the field ``csrf``, and scripts in the header ``X-CSRF-Token``. scopes: what the
    personal token of the request is limited to; None: no token was used. signed_in: by an account; False for a visitor,
    and for everybody on a node without accounts. token: the key of the token that was used. keys: of the account.
    proved_at: when the person gave the password for the session at hand; None: no session.
    """

    name: str
    role: Role | None
    csrf: str
    scopes: frozenset[TokenScope] | None = None
    signed_in: bool = False
    token: str | None = None
    keys: KeyUse | None = None
    proved_at: datetime | None = None


def who(request: Request) -> Person:
    """The dependency of routes that want to know who asks: ``person: Annotated[Person, Depends(who)]``."""
    person = request.scope.get(KEY)
    if not isinstance(person, Person):  # the gate was left out: closed
        raise HTTPException(403, "nobody says who asks")
    return person


def own_frame(request: Request, place: str = "") -> PageFrame:
    """The frame of a page for whoever asks for it."""
    person = who(request)
    role = "" if person.role is None else f" ({person.role.value})"
    made = frame_for(request.cookies, place, f"{person.name}{role}" if person.signed_in else None, person.csrf)
    return replace(made, places=open_places(person.role), keys=person.keys or made.keys)


def open_places(role: Role | None) -> tuple[tuple[str, str, str], ...]:
    """The entries of the navigation that a role may open; none for a visitor."""
    return tuple(one for one in PLACES if may_open(one[1], role))
