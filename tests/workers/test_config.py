"""Settings in: old files stay valid, and the digest in results covers everything that can change one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from triage.settings import TriageSettings
from workers import config
from workers.config import Settings


def leaves(value: Any, prefix: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """(path, default) of every setting that is no section."""
    for field in dataclasses.fields(value):
        inner = getattr(value, field.name)
        if dataclasses.is_dataclass(inner):
            yield from leaves(inner, (*prefix, field.name))
        else:
            yield (*prefix, field.name), inner


def nested(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    return {path[0]: nested(path[1:], value) if len(path) > 1 else value}


def test_a_file_that_names_every_key_stays_valid() -> None:
    assert config.load(Path(__file__).with_name("config_with_every_key.yaml")) == Settings()


@pytest.mark.parametrize("path", [path for path, _ in leaves(TriageSettings())], ids=".".join)
def test_every_setting_of_the_core_is_in_the_digest(path: tuple[str, ...]) -> None:
    default = dict(leaves(TriageSettings()))[path]
    other = "roster" if default == "all" else default + 1
    raw = yaml.safe_load(yaml.safe_dump({"triage": nested(path, other)}))
    changed = config.parse(raw)
    assert dict(leaves(changed.triage)) == dict(leaves(TriageSettings())) | {path: other}
    assert changed.sha256() != Settings().sha256()


def test_settings_of_the_node_are_not_in_the_digest() -> None:
    assert config.parse({"log": {"level": "debug"}, "queue": {"lease_s": 1}}).sha256() == Settings().sha256()
