"""A state folder in, the name of its node out: what the processes of the node hold leases by."""

from __future__ import annotations

import os
import secrets
import socket
from contextlib import suppress
from pathlib import Path

FILE_NAME = "node-name"


def node_name(state_dir: Path) -> str:
    """The same after a restart, also in a new container, whose host name is another. A copy of the folder on another
    machine is another node: the number of the file is part of the name.

    Where nothing can be written, it is the name of the machine with the folder.
    """
    folder = state_dir.absolute()
    path = folder / FILE_NAME
    try:
        if not path.exists():
            _make(path)
        return f"{path.read_text(encoding='ascii').strip()}.{path.stat().st_ino}"
    except OSError:
        return f"{socket.gethostname()}:{folder}"


def _make(path: Path) -> None:
    """Whole or not at all; of two processes that do it at once, the first one names the node."""
    path.parent.mkdir(parents=True, exist_ok=True)
    growing = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        growing.write_text(f"{secrets.token_hex(8)}\n", encoding="ascii")
        with suppress(FileExistsError):
            os.link(growing, path)
    finally:
        growing.unlink(missing_ok=True)
