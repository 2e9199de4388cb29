"""A finished folder in, the same folder under its final name out: whole or not at all, even when several processes do
it at once."""

from __future__ import annotations

import errno
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path


def put_in_place(new: Path, final: Path) -> None:
    """Rename ``new`` to ``final``, which may exist and is then replaced; both in one folder.

    Of two processes that do this at once, on this host or another, one wins and the other's folder is dropped. A crash
    between the two renames leaves nothing under ``final``: a reader must bear that. A prepared baseline is prepared
    again; of results the decision stands in the index, and the attempt that crashed is made again.

    Raises:
        OSError: the file system fails; what was there before is still there.
    """
    old = Path(tempfile.mkdtemp(prefix=f".{final.name}.old.", dir=final.parent))
    try:
        with suppress(FileNotFoundError):
            final.rename(old / "x")
        try:
            new.rename(final)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):  # another process was first
                shutil.rmtree(new, ignore_errors=True)
                return
            with suppress(OSError):
                (old / "x").rename(final)
            raise
    finally:
        shutil.rmtree(old, ignore_errors=True)
