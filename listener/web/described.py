"""What the description of the API says about answers that are no success."""

from __future__ import annotations

from typing import Any

from fastapi.responses import JSONResponse
from pydantic import BaseModel

from workers.plain_text import json_text


class PlainJson(JSONResponse):
    """JSON without a raw control or bidirectional character, whatever came in from outside."""

    def render(self, content: Any) -> bytes:
        return json_text(content, compact=True).encode()


class Problem(BaseModel):
    """Why there is no other answer."""

    detail: str


class WrongRequest(BaseModel):
    """What is wrong with a request: a sentence, or one entry for each field."""

    detail: str | list[dict[str, Any]]


_WORDS = {
    400: "the request cannot be read",
    401: "sign in, or send a token",
    403: "not for this role or token, or not sent by our own page",
    404: "there is no such thing",
    408: "the request came too slowly",
    409: "not possible in the present state",
    413: "too large",
    415: "a form is needed",
    503: "the index cannot be reached now",
}


def _answer(model: type[BaseModel], words: str) -> dict[str, Any]:
    """As a schema: FastAPI builds each model anew for each of sixty routes, which takes longer than all the rest."""
    return {"description": words, "content": {"application/json": {"schema": model.model_json_schema()}}}


PROBLEMS: dict[int | str, dict[str, Any]] = {
    **{status: _answer(Problem, words) for status, words in _WORDS.items()},
    422: _answer(WrongRequest, "the request is wrong"),
}


def pictures(*media_types: str) -> dict[int | str, dict[str, Any]]:
    """What a route with pictures gives."""
    return {200: {"content": {name: {} for name in media_types}, "description": "the picture"}}
