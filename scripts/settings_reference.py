"""The settings classes in, docs/settings.md out: one table per section with key, default, unit, accepted values,
meaning.

The meaning of a key is the comment above its field, the comment behind it, or the docstring below it.
`python -m scripts.settings_reference` writes the page; with `--check` it fails when the page is not up to date.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import sys
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, TypeAdapter
from pydantic_core import PydanticUndefined

from workers.config import Settings
from workers.sections import AeTitle

REQUIRED = "required"
PAGE = Path(__file__).parent.parent / "docs" / "settings.md"
INTRODUCTION = """# Settings

Every key that `config.yaml` accepts. The file in the repository holds the keys that a site decides, and the limits of
the four patterns; each key here can be set in it under the same name, e.g.

```yaml
triage:
  registration:
    similarity: 0.45
```

A key that is left out keeps its default. An unknown key or a value outside the accepted ones is refused at the start
(`icansee config check`). A digest of all `triage` settings is part of every result. They are part of the measurement
method: a change needs the checks of [accuracy.md](accuracy.md) again.

This page is generated from the source: `make docs` writes it.
"""
UNITS = (  # the first that fits the end of the dotted key
    (r"_um2_s", "µm²/s"),
    (r"_per_s", "1/s"),
    (r"_s", "s"),
    (r"_bytes", "bytes"),
    (r"_mm", "mm"),
    (r"_ml", "mL"),
    (r"(_percent|_percent_same|_percent_different)", "%"),
    (r"(_days|_days_before_infusion)", "days"),
    (r"_strength_t", "T"),
    (r"\.usual_b", "s/mm²"),
    (r"_voxels", "voxels"),
    (r"bithalamic\.(thalami|stem|together|swelling|capsules|alone_(thalami|strong|stem|quiet)).*", "%"),
    (r"global_oedema\.(sulcal|extraventricular|brain|ventricles|cisterns)_.*", "%"),
    (r"single_scan\.\w+_(normal|spread)", "%"),
    (r"look_alikes\.(rise|apart|csf|csf_quiet|quiet)", "%"),
    (r"restriction\.(mass|mass_symmetric)", "SD × mL"),
    (r"(\.z|\.z_\w+|_z|\.seed|\.grow_sd)", "SD"),
)


@dataclass(frozen=True)
class Key:
    """One row of the page. default: as in YAML."""

    name: str
    default: str
    unit: str
    accepted: str
    meaning: str


@dataclass(frozen=True)
class Table:
    """One section of the page. path: dotted, ``[]`` behind a list of sections."""

    path: str
    meaning: str
    keys: tuple[Key, ...]


def tables(kind: type[Any] = Settings, path: str = "", meaning: str = "") -> Iterator[Table]:
    """The table of one settings class, then those of the sections inside it."""
    said = meanings(kind)
    keys, inner = [], []
    for name, (annotation, default) in fields(kind).items():
        key = f"{path}.{name}" if path else name
        sections, many = sections_in(annotation)
        for section in sections:
            described = said.get(name, ""), first_paragraph(section)
            about = next(filter(None, reversed(described) if many or default is None else described), "")
            inner.append((section, key + "[]" * many + kind_of(section, sections), about))
        if not sections or many or default is None:
            keys.append(Key(name, written(default), unit_of(key), accepted(kind, name), meaning_of(name, said)))
    if keys:
        yield Table(path, meaning, tuple(keys))
    for section, key, about in inner:
        yield from tables(section, key, about)


def meaning_of(name: str, said: dict[str, str]) -> str:
    """What the source says about a field. A limit across protocols may leave it to the one above it."""
    partner = name.removesuffix("_different") + "_same"
    if name not in said and name.endswith("_different") and partner in said:
        return f"{partner}, when the two scans have different protocols"
    return said.get(name, "")


def fields(kind: type[Any]) -> dict[str, tuple[Any, Any]]:
    """Name -> (type, default). PydanticUndefined: the key has no default."""
    hints = typing.get_type_hints(kind, include_extras=True)
    if issubclass(kind, BaseModel):
        found = {name: info.get_default(call_default_factory=True) for name, info in kind.model_fields.items()}
    else:
        value = kind()
        found = {field.name: getattr(value, field.name) for field in dataclasses.fields(kind)}
    return {name: (hints[name], default) for name, default in found.items()}


def sections_in(annotation: Any) -> tuple[list[type[Any]], bool]:
    """The settings classes that a value of this type is or holds (several: one for each kind), and whether it holds a
    list of them."""
    if isinstance(annotation, type):
        is_section = issubclass(annotation, BaseModel) or dataclasses.is_dataclass(annotation)
        return ([annotation] if is_section else []), False
    found = [one for part in typing.get_args(annotation) for one in sections_in(part)[0]]
    return found, bool(found) and _holds_a_list(annotation)


def _holds_a_list(annotation: Any) -> bool:
    return typing.get_origin(annotation) is tuple


def kind_of(section: type[Any], beside: list[type[Any]]) -> str:
    """What tells this section from others that may stand in its place: its ``kind``."""
    if len(beside) == 1:
        return ""
    return f" kind {typing.get_args(typing.get_type_hints(section)['kind'])[0]}"


def meanings(kind: type[Any]) -> dict[str, str]:
    """Field -> what its source says about it, with the fields of base classes; silent fields are left out."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if base.__module__.split(".")[0] in ("triage", "workers"):
            found |= _said_in(base)
    return found


def _said_in(kind: type[Any]) -> dict[str, str]:
    source = Path(str(inspect.getsourcefile(kind))).read_text(encoding="utf-8")
    lines = source.splitlines()
    classes = (n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.ClassDef) and n.name == kind.__name__)
    written_out = next(classes, None)
    if written_out is None:  # made from the list of patterns
        return {}
    body, found = written_out.body, dict[str, str]()
    for node, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            text = _docstring(after) or _comment_above(lines, node.lineno) or _comment_behind(lines, node.end_lineno)
            if text:
                found[node.target.id] = text
    return found


def _docstring(node: ast.stmt | None) -> str:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return " ".join(node.value.value.split())
    return ""


def _comment_above(lines: list[str], number: int) -> str:
    """The comment lines that end above a line (counted from 1)."""
    found: list[str] = []
    for line in reversed(lines[: number - 1]):
        if not line.strip().startswith("#"):
            break
        found.insert(0, line.strip().lstrip("#: "))
    return " ".join(found)


def _comment_behind(lines: list[str], number: int | None) -> str:
    return lines[number - 1].partition("  # ")[2].strip() if number is not None else ""


def first_paragraph(kind: type[Any]) -> str:
    """Of the docstring, without full stop; empty without one."""
    text = inspect.cleandoc(vars(kind).get("__doc__") or "").split("\n\n")[0]
    if text.startswith(f"{kind.__name__}("):  # what dataclass makes when there is none
        return ""
    return " ".join(text.split()).rstrip(".")


def written(default: Any) -> str:
    """A default as it stands in a YAML file."""
    if default is PydanticUndefined:
        return REQUIRED
    if isinstance(default, tuple):
        default = list(default)
    return yaml.safe_dump(str(default) if isinstance(default, Path) else default).removesuffix("...\n").strip()


def unit_of(key: str) -> str:
    """The unit of a value; empty for shares, counts and texts."""
    return next((unit for pattern, unit in UNITS if re.search(f"{pattern}$", key)), "")


def accepted(kind: type[Any], name: str) -> str:
    """The accepted values of one field, in words."""
    schema = TypeAdapter(kind).json_schema()
    return _words(schema["properties"][name])


def _words(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_words(one) for one in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    if "$ref" in schema or "allOf" in schema:
        return "section"
    if schema.get("pattern") == TypeAdapter(AeTitle).json_schema()["pattern"]:
        return "AE title of 1 to 16 characters"
    words = {
        "integer": "whole number",
        "number": "number",
        "string": "text",
        "array": "list",
        "boolean": "true or false",
    }
    if schema.get("format") == "path":
        return "path"
    return words.get(schema["type"], "null") + _bounds(schema)


def _bounds(schema: dict[str, Any]) -> str:
    if "minimum" in schema and "maximum" in schema:
        return f", {schema['minimum']} to {schema['maximum']}"
    if "minimum" in schema:
        return (
            f", at least {schema['minimum']:g}"
            if isinstance(schema["minimum"], float)
            else f", {schema['minimum']} or more"
        )
    return f", above {schema['exclusiveMinimum']:g}" if "exclusiveMinimum" in schema else ""


def page() -> str:
    """The whole page."""
    parts = [INTRODUCTION]
    for table in tables():
        about = f"{table.meaning[:1].upper()}{table.meaning[1:]}.\n\n" if table.meaning else ""
        rows = [
            f"| `{key.name}` | {_cells(f'`{key.default}`', key.unit, key.accepted, key.meaning)} |"
            for key in table.keys
        ]
        head = "| key | default | unit | accepted | meaning |\n|---|---|---|---|---|\n"
        parts.append(f"## `{table.path}`\n\n{about}{head}" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def _cells(*texts: str) -> str:
    return " | ".join(text.replace("|", "\\|").replace("<", "&lt;") for text in texts)


def main() -> int:
    wanted = page()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(wanted, encoding="utf-8")
        return 0
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == wanted:
        return 0
    sys.stderr.write(f"{PAGE.name} is not up to date: run `make docs`\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
