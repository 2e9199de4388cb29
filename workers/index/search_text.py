"""Text as a search compares it: one form of each character, small letters, blanks between the parts of a name."""

from __future__ import annotations

import unicodedata
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

SEPARATORS = "^=,()"  # between the parts of a name and between its forms (PS3.5 6.2.1), and as the page writes them
FUNCTION = "icansee_folded"


def folded(text: str | None) -> str:
    """Idempotent."""
    small = unicodedata.normalize("NFKC", text or "").lower()
    return small.translate(dict.fromkeys(map(ord, SEPARATORS), " "))


class Folded(FunctionElement[str]):
    """The same in SQL; an engine of SQLite has to learn it first."""

    type = sa.Text()
    inherit_cache = True
    name = FUNCTION


def teach_folding(engine: Engine) -> None:
    """Let the connections of this engine compute Folded; without effect where the database can."""
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _with_function)


def _with_function(connection: Any, _record: Any) -> None:
    connection.create_function(FUNCTION, 1, folded, deterministic=True)


@compiles(Folded, "sqlite")
def _by_python(element: Folded, compiler: Any, **kw: Any) -> str:
    return f"{FUNCTION}({compiler.process(element.clauses, **kw)})"


@compiles(Folded, "postgresql")
def _by_postgresql(element: Folded, compiler: Any, **kw: Any) -> str:
    inside = compiler.process(element.clauses, **kw)
    return f"translate(lower(normalize({inside}, NFKC)), '{SEPARATORS}', '{' ' * len(SEPARATORS)}')"
