"""config.yaml in, one validated, frozen Settings out.

A wrong key or value is refused by name, with what is accepted.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
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
        Misconfigured: the file is missing, not YAML, or a key is unknown or wrong; the message names the line, the key
        and what is accepted.
    """
    try:
        loader = yaml.SafeLoader(path.read_text(encoding="utf-8"))
        nodes = loader.get_single_node()
        _refuse_what_misleads(nodes, str(path))
        raw = None if nodes is None else loader.construct_document(nodes)
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read ({error.strerror})") from error
    except RecursionError as error:
        raise Misconfigured(f"{path}: not valid YAML (lists or sections lie too deep in each other)") from error
    except (yaml.YAMLError, ValueError) as error:  # also: not UTF-8, a number of thousands of digits
        raise Misconfigured(f"{path}: not valid YAML ({error})") from error
    return parse({} if raw is None else raw, source=str(path), nodes=nodes)


# YAML 1.1 reads 010 as 8, and 1:30 as 90
OTHER_NUMBER = re.compile(r"[-+]?(0[0-9_]+|[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?)")


def _refuse_what_misleads(root: yaml.Node | None, source: str) -> None:
    """A key that stands twice: YAML keeps the last one, so a whole section would be gone without a word. And numbers
    that are read as others than a person means.

    Raises:
        Misconfigured: names line and key.
    """
    waiting, seen = [] if root is None else [root], set[int]()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:  # an alias
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            lines: dict[str, int] = {}
            for key, value in node.value:
                line = key.start_mark.line + 1
                if isinstance(key.value, str) and key.value in lines:
                    raise Misconfigured(f"{source}:{line}: {key.value}: stands in line {lines[key.value]} already")
                lines[str(key.value)] = line
                waiting.append(value)
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value
        elif _is_other_number(node):
            line = node.start_mark.line + 1
            raise Misconfigured(f"{source}:{line}: {node.value} is read as another number; write it in plain decimals")


def _is_other_number(node: yaml.Node) -> bool:
    is_number = node.tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
    return is_number and OTHER_NUMBER.fullmatch(node.value) is not None


def parse(raw: object, *, source: str = "config", nodes: yaml.Node | None = None) -> Settings:
    """Validate an already parsed mapping; see :func:`load`.

    Args:
        nodes: the same as YAML read it, for the lines of a message.
    """
    if not isinstance(raw, dict):
        raise Misconfigured(f"{source}: expected a mapping of sections, got {type(raw).__name__}")
    try:
        settings = Settings.model_validate({key: {} if value is None else value for key, value in raw.items()})
    except ValidationError as error:
        some = error.errors()
        # what is wrong in a list leaves it too short: one cause is said once
        said = [
            one for one in some if not (one["type"] == "too_short" and any(_is_under(other, one) for other in some))
        ]
        raise Misconfigured(
            "\n".join(f"{source}{_line(nodes, one['loc'])}: {_explain(one)}" for one in said)
        ) from error
    for where in _switches(raw, settings):
        key = ".".join(map(str, where))
        meant = "a number is wanted, not true or false (yes, no, on and off are read so)"
        raise Misconfigured(f"{source}{_line(nodes, where)}: {key}: {meant}")
    return settings


def _switches(raw: object, taken: object, where: tuple[int | str, ...] = ()) -> Iterator[tuple[int | str, ...]]:
    """Keys of numbers and texts that YAML read as true or false (yes, no, on, off): they would count as 1 or 0."""
    if isinstance(raw, bool):
        if not isinstance(taken, bool):
            yield where
    elif isinstance(raw, dict):
        for key, value in raw.items():
            yield from _switches(
                value, taken[key] if isinstance(taken, dict) else getattr(taken, key, value), (*where, key)
            )
    elif isinstance(raw, list) and isinstance(taken, list | tuple):
        for number, (value, one) in enumerate(zip(raw, taken, strict=False)):
            yield from _switches(value, one, (*where, number))


def _is_under(error: ErrorDetails, above: ErrorDetails) -> bool:
    return len(error["loc"]) > len(above["loc"]) and error["loc"][: len(above["loc"])] == above["loc"]


def _line(node: yaml.Node | None, where: tuple[int | str, ...]) -> str:
    """ ":3", the line of the deepest part of a key that the file has; nothing when it has none of it."""
    line: int | None = None
    for part in where:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == str(part)), None)
            if found is not None:  # else it is the kind of a destination, or a key that is missing
                line, node = found[0].start_mark.line, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line
    return "" if line is None else f":{line + 1}"


def _explain(error: ErrorDetails) -> str:
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"{key}: unknown key; accepted here: {', '.join(accepted_keys(error['loc'][:-1]))}"
    said, got = error["msg"].removeprefix("Value error, "), error["input"]
    # no section, no list of them, no passcode and no address with one: a password is not repeated
    hidden = isinstance(got, dict | list | tuple) or key.endswith("passcode") or "@" in str(got)
    return f"{key}: {said}" if hidden else f"{key}: {said} (got {got!r})"


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
