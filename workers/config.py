"""config.yaml in, one validated, frozen Settings out.

A wrong key or value is refused by name, with what is accepted.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import Field, TypeAdapter, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from triage.errors import Misconfigured
from triage.patterns.all import PATTERNS
from triage.settings import TriageSettings
from workers.settings import NodeSettings


class Settings(NodeSettings):
    """The whole of config.yaml."""

    # everything that can change a result; its digest is part of every result
    triage: TriageSettings = Field(default_factory=TriageSettings)

    @field_validator("triage", mode="before")
    @classmethod
    def _triage(cls, value: object) -> object:
        return {} if value is None else value

    @model_validator(mode="after")
    def _patterns_exist(self) -> Self:
        letters = [pattern.name for pattern in PATTERNS]
        unknown = [name for name in self.results.shadow_patterns if name not in letters]
        if unknown:
            raise ValueError(f"results.shadow_patterns: {unknown[0]} is no pattern; there are {', '.join(letters)}")
        return self

    def sha256(self) -> str:
        """Digest of everything that can change a result (the ``triage`` section)."""
        text = json.dumps(TypeAdapter(TriageSettings).dump_python(self.triage, mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def load(path: Path) -> Settings:
    """Read and validate config.yaml.

    Raises:
        Misconfigured: the file is missing, not YAML, or a key is unknown or wrong; the message names the key and what
        is accepted.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{path}: not valid YAML ({error})") from error
    return parse({} if raw is None else raw, source=str(path))


def parse(raw: object, *, source: str = "config") -> Settings:
    """Validate an already parsed mapping; see :func:`load`."""
    if not isinstance(raw, dict):
        raise Misconfigured(f"{source}: expected a mapping of sections, got {type(raw).__name__}")
    try:
        return Settings.model_validate({key: {} if value is None else value for key, value in raw.items()})
    except ValidationError as error:
        raise Misconfigured("\n".join(f"{source}: {_explain(e)}" for e in error.errors())) from error


def _explain(error: ErrorDetails) -> str:
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"{key}: unknown key; accepted here: {', '.join(accepted_keys(error['loc'][:-1]))}"
    said = error["msg"].removeprefix("Value error, ")
    # a whole section is not repeated: it may hold a password
    return f"{key}: {said}" if isinstance(error["input"], dict) else f"{key}: {said} (got {error['input']!r})"


def accepted_keys(where: tuple[int | str, ...]) -> list[str]:
    """Keys that config.yaml accepts under ``where``, e.g. ``("listener",)``."""
    schema = Settings.model_json_schema()
    node: dict[str, Any] = schema
    for part in where:
        node = _resolve(node, schema)
        kinds = node.get("discriminator", {}).get("mapping", {})
        if part in kinds:  # the kind of a destination stands in the place of the error
            node = {"$ref": kinds[part]}
        else:
            node = node["items"] if isinstance(part, int) else node["properties"][part]
    return sorted(_resolve(node, schema).get("properties", {}))


def _resolve(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    while True:
        # an optional section is a choice of the section and null
        wrapped = node.get("allOf", []) + [one for one in node.get("anyOf", []) if "$ref" in one]
        ref = node.get("$ref") or (wrapped[0]["$ref"] if wrapped else None)
        if ref is None:
            return node
        node = schema["$defs"][ref.rsplit("/", 1)[-1]]
