"""How many associations one peer may have at once: a peer in, a place that it holds out.

A place is a locked file, so that the limit counts over all receiving processes and a dead one gives its places back.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from pathlib import Path


def take_place(folder: Path, name: str, places: int) -> int | None:
    """A free place among ``places`` of ``name``: a descriptor to close when the place is given back; None: all taken.

    Raises:
        OSError: no descriptor or lock is left, or the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # the name comes from outside: only a digest of it becomes a file name
    stem = hashlib.sha256(name.encode()).hexdigest()[:16]
    for number in range(places):
        fd = os.open(folder / f"{stem}.{number}", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            continue
        except OSError:
            os.close(fd)
            raise
        return fd
    return None
