"""The body of a request that changes something, and its form fields: read whole, with limits."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qsl

from fastapi import HTTPException, Request
from starlette.types import Message, Receive

MOST_BYTES = 1 << 20
MOST_FIELDS = 100
PATIENCE_S = 20.0  # for the whole body: a sender that drips is ended
OBJECT_GIVEN = "icansee.object_given"  # in the scope of a request: these fields of its form
OBJECT_FIELDS = ("study", "number", "key")  # what a form is about, where its address does not say it
FORM = "application/x-www-form-urlencoded"


async def whole_body(receive: Receive) -> bytes:
    """Raises:
    HTTPException: 413 too large, 408 too slow, 400 the client went away.
    """
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await _collected(receive)
    except TimeoutError:
        raise HTTPException(408, "the request came too slowly") from None


async def _collected(receive: Receive) -> bytes:
    body: bytes = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise HTTPException(400, "the client went away")
        part: bytes = message.get("body", b"")
        body += part
        if len(body) > MOST_BYTES:
            raise HTTPException(413, f"at most {MOST_BYTES} bytes are taken")
        if not message.get("more_body"):
            return body


def replayed(body: bytes, receive: Receive) -> Receive:
    """The body once more for whoever answers; then whatever comes behind it."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def fields_in(body: bytes) -> dict[str, str]:
    """The fields of a form; of a field that comes twice the first counts.

    Raises:
        HTTPException: 400, it is no form.
    """
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict")
    except ValueError:
        raise HTTPException(400, "the form cannot be read") from None
    return dict(reversed(pairs))


def is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == FORM


async def form_fields(request: Request) -> dict[str, str]:
    """A dependency: the fields of the form that was sent.

    Raises:
        HTTPException: 415, it is no form; 400, it cannot be read.
    """
    if not is_form(request):
        raise HTTPException(415, f"a form ({FORM}) is needed")
    fields = fields_in(await request.body())
    request.scope[OBJECT_GIVEN] = {name: fields[name] for name in OBJECT_FIELDS if name in fields}
    return fields
