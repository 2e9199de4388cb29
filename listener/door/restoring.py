"""A lost index in, the same index with its stored decisions out, by a program of its own.

The line of a decision in a list needs the measurement core, which a receiving process does not load.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from listener.node.settings_descriptor import settings_from_descriptor, settings_to_descriptor
from triage.errors import IcanseeError, Transient
from workers import log
from workers.settings import NodeSettings

UNREAD = 3  # the program has come to its end, but for files that the disk does not give


def restore_apart(settings: NodeSettings, files_dir: Path, since: int | None) -> int:
    """What ``workers.studies.restore.restore`` does, by another process; returns when it has ended: whether anything is
    unread.

    Raises:
        Transient: it did not come to its end. Its own log says why.
        OSError: it could not be started.
    """
    fd = settings_to_descriptor(settings)
    try:
        command = [sys.executable, "-P", "-m", "listener.door.restoring", str(fd), str(files_dir), str(since or 0)]
        ended = subprocess.run(command, pass_fds=(fd,), stdin=subprocess.DEVNULL, check=False).returncode  # noqa: S603 - ourselves
    finally:
        os.close(fd)
    if ended not in (0, UNREAD):
        raise Transient(f"the program that brings stored decisions back into the index ended with {ended}")
    return int(ended == UNREAD)


def main() -> None:
    from workers.index.node_index import open_node_index
    from workers.studies.restore import restore

    settings, files_dir, since = settings_from_descriptor(int(sys.argv[1])), Path(sys.argv[2]), int(sys.argv[3])
    log.configure(settings.log, process="restore")
    try:
        unread = restore(open_node_index(settings), files_dir, since or None).unread
    except (IcanseeError, OSError) as error:
        log.get_logger(__name__).error("index.not_restored", error=log.brief(error))
        sys.exit(1)
    sys.exit(UNREAD if unread else 0)


if __name__ == "__main__":
    main()
