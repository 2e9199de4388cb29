"""The receiving process: settings over a descriptor in, a listening DICOM door out, until it is told to stop.

A program of its own, which `icansee serve` starts, and into which `icansee listener` turns, once the settings are
checked: that check needs the measurement core, which would cost a receiving process 150 MB of memory.
"""

from __future__ import annotations

import sys

from listener.door.small_process import settle, start_small

if __name__ == "__main__":  # before anything below loads what is to be kept out
    start_small()

from listener.node.running import announce
from listener.node.settings_descriptor import turn_into
from listener.node.turned import turned_into
from workers.settings import NodeSettings


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

    with turned_into("listener", alone=True) as program:

        def ready(port: int) -> None:
            settle()
            announce(program.ready, port=port, host=program.settings.listener.host)

        scp.run(program.settings, stop=program.stop, ready=ready)


if __name__ == "__main__":
    main()
