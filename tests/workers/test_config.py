"""Settings in: old files stay valid, and the digest in results covers everything that can change one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from triage.errors import Misconfigured
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


def read(tmp_path: Path, text: str | bytes) -> Settings:
    path = tmp_path / "config.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return config.load(path)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param(b"\xef\xbb\xbflistener:\r\n  port: 104\r\n", id="a mark of the byte order, and lines of Windows"),
        pytest.param("listener:\nweb: {port: 0}\n", id="a section without keys"),
        pytest.param("listener: &one {port: 104}\ntriage:\n", id="an anchor"),
        pytest.param("index: {url: sqlite:////srv/icansee/index.db}\nqueue: {url: 'redis://:a@h:6379/0'}\n", id="URLs"),
        pytest.param("results: {backfill_s: 3153600000}\n", id="a hundred years"),
    ],
)
def test_noop_what_is_taken(tmp_path: Path, text: str | bytes) -> None:
    read(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(
            "listener:\n  port: 1\nlistener:\n  host: a\n", r":3: listener: stands in line 1 already", id="twice"
        ),
        pytest.param("listener: {port: 1, port: 2}\n", r":1: port: stands in line 1 already", id="twice in a line"),
        pytest.param("listener:\n  port: 0104\n", r":2: 0104 is read as another number", id="octal"),
        pytest.param("queue:\n  lease_s: 1:30\n", r":2: 1:30 is read as another number", id="minutes"),
        pytest.param("listener:\n  port: yes\n", r":2: listener.port: a number is wanted", id="a switch"),
        pytest.param("queue: {lease_s: on}\n", r"queue.lease_s: a number is wanted", id="a switch for seconds"),
        pytest.param("arrival:\n  quiet_period_s: .inf\n", r":2: arrival.quiet_period_s: .*finite", id="infinite"),
        pytest.param("arrival:\n  quiet_period_s: .nan\n", r":2: arrival.quiet_period_s: .*finite", id="not a number"),
        pytest.param(
            "queue:\n  lease_s: 1e30\n", r":2: queue.lease_s: at most 3153600000, which is a hundred", id="ages"
        ),
        pytest.param("store: {retention_days: 1000000}\n", r"store.retention_days: at most 36500", id="ages in days"),
        pytest.param(
            f"store: {{min_free_bytes: {2**63}}}\n", r"store.min_free_bytes: at most 9223", id="too many bytes"
        ),
        pytest.param(f"store: {{min_free_bytes: {'9' * 5000}}}\n", r"not valid YAML", id="thousands of digits"),
        pytest.param(f"listener: {'[' * 3000}\n", r"not valid YAML", id="too deep"),
        pytest.param('store: {state_dir: "a\\0b"}\n', r"store.state_dir: holds a NUL character", id="NUL"),
        pytest.param(
            "queue: {url: 'http://u:secret@h/'}\n", r"queue.url: a URL that begins with redis://", id="no broker"
        ),
        pytest.param("queue: {url: 'redis://:secret@h:port/0'}\n", r"queue.url: its port is no number", id="no port"),
        pytest.param(
            "index: {url: 'postgresql://u:secret@h:port/n'}\n", r"index.url: its port is no", id="no port either"
        ),
        pytest.param(
            "index: {url: 'mysql://u:secret@h/n'}\n", r"index.url: a URL that begins with sqlite://", id="other"
        ),
        pytest.param("index: {url: 'sqlite://'}\n", r"index.url: a database in memory", id="memory"),
        pytest.param("index: {url: 'sqlite:///'}\n", r"index.url: a database in memory", id="memory without a name"),
        pytest.param("index: {url: 'sqlite:///:memory:'}\n", r"index.url: a database in memory", id="memory by name"),
    ],
)
def test_what_is_refused_by_line_and_key(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(Misconfigured, match=said) as refused:
        read(tmp_path, text)
    assert "secret" not in str(refused.value)
