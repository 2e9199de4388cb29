"""A live node that listens to clinical systems by HL7."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from listener.node.running import read_ready
from tests.chaos.node import Node


@contextmanager
def node_with_feeds(folder: Path, *, urgent_worker: bool) -> Iterator[Node]:
    node, path = Node(folder, urgent_worker=urgent_worker), folder / "config.yaml"
    settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump(settings | {"feeds": {"hl7": {"port": 0}}}), encoding="utf-8")
    try:
        node.start()
        yield node
    finally:
        node.end()


def port_of(node: Node) -> int:
    """Where it listens for HL7."""
    facts = read_ready(node.state / "run" / "feeds.json")
    assert facts is not None
    return int(facts["port"])
