"""The receiving process: settings over a descriptor in, a listening DICOM door out, until it is told to stop.

A program of its own, into which `icansee listener` turns once it has checked the settings: that check needs the
measurement core, which would cost a receiving process 150 MB of memory.
"""

from __future__ import annotations

import sys

from listener.door.small_process import settle, start_small

if __name__ == "__main__":  # before anything below loads what is to be kept out
    start_small()

from listener.node.private import only_one
from listener.node.processes import counted
from listener.node.running import announce, ready_file, withdraw
from listener.node.settings_descriptor import settings_from_descriptor, turn_into
from listener.node.signals import end_with_parent, stop_on_signals
from workers import log
from workers.settings import NodeSettings

REFUSED = 2  # exit code for wrong settings, as of every command


def become(settings: NodeSettings, parent: int | None) -> None:
    """Turn this process, which keeps its number, into the receiving process. Does not return."""
    turn_into("listener.door.program", settings, parent)


def main() -> None:
    """Receive until SIGTERM; or be one of several receiving processes, until the pool says stop."""
    if sys.argv[1] == "child":
        from listener.door import pool_child

        channel_fd, settings_fd = sys.argv[-2:]
        pool_child.main(int(channel_fd), int(settings_fd), durable="not-durable" not in sys.argv)
        return
    from listener.door import run as scp
    from triage.errors import Misconfigured

    settings = settings_from_descriptor(int(sys.argv[1]))
    log.configure(settings.log, process="listener")
    if int(sys.argv[2]):
        end_with_parent(int(sys.argv[2]))
    path = ready_file(settings, "listener")
    stop = stop_on_signals()

    def ready(port: int) -> None:
        settle()
        announce(path, port=port, host=settings.listener.host)

    try:
        with only_one(settings.store.state_dir, "listener"), counted(settings.store.state_dir, "listener"):
            scp.run(settings, stop=stop, ready=ready)
    except Misconfigured as error:
        sys.stderr.write(f"icansee: {error}\n")
        sys.exit(REFUSED)
    finally:
        withdraw(path)


if __name__ == "__main__":
    main()
