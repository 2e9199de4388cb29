"""What runs where: each process of the node writes ``run/<name>.json`` (pid, port) in the state folder once it is
ready."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from workers.log import brief, get_logger
from workers.settings import NodeSettings

log = get_logger(__name__)

ANNOUNCE_AGAIN_S = 5.0
_said: set[Path] = set()  # what this process says of itself, until it takes it back


def ready_file(settings: NodeSettings, name: str) -> Path:
    return settings.store.state_dir.absolute() / "run" / f"{name}.json"


def announce(path: Path, **facts: Any) -> None:
    """Say that this process is ready. While the disk does not take it the process works all the same, and it is said
    later; so it is when somebody deletes the file."""
    _said.add(path)
    try:
        write_ready(path, **facts)
    except OSError as error:
        log.error("process.not_announced", file=path.name, error=brief(error))
    threading.Thread(target=partial(_announce_again, path, facts), name="announce", daemon=True).start()


def _announce_again(path: Path, facts: Mapping[str, Any]) -> None:
    while path in _said:
        time.sleep(ANNOUNCE_AGAIN_S)
        with contextlib.suppress(OSError):
            if path in _said and not path.exists() and path.parent.parent.is_dir():
                write_ready(path, **facts)


def write_ready(path: Path, **facts: Any) -> None:
    """Write that this process is ready; whole or not at all.

    Raises:
        OSError: the disk is full or fails.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(json.dumps({"pid": os.getpid(), **facts}), encoding="utf-8")
    temporary.replace(path)


def read_ready(path: Path) -> dict[str, Any] | None:
    """What a process announced; None when it did not, or is gone."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        os.kill(int(facts["pid"]), 0)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return dict(facts)


def running_port(settings: NodeSettings, name: str) -> int | None:
    """The port the process listens on now; differs from the settings when those say 0."""
    facts = read_ready(ready_file(settings, name))
    return int(facts["port"]) if facts and "port" in facts else None


def withdraw(path: Path) -> None:
    """Remove the announcement of this process. When its supervisor was killed and a new node runs already, the file
    belongs to the successor and stays: without it the new node would never be ready."""
    _said.discard(path)
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        if int(json.loads(path.read_text(encoding="utf-8"))["pid"]) == os.getpid():
            path.unlink()


def forget(path: Path) -> None:
    """Remove what another process announced: of a dead one, or before a new one is started."""
    with contextlib.suppress(OSError):
        path.unlink()
