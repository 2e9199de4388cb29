"""A program that another one turned into: its settings, its stop and its ready file around its work."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from listener.node.private import only_one
from listener.node.processes import counted
from listener.node.running import ready_file, withdraw
from listener.node.settings_descriptor import settings_from_descriptor
from listener.node.signals import end_with_parent, stop_on_signals
from triage.errors import Misconfigured
from workers import log
from workers.settings import NodeSettings

REFUSED = 2  # exit code for wrong settings, as of every command


@dataclass(frozen=True)
class TurnedProgram:
    """settings: from the descriptor. stop: set by SIGTERM. ready: file that says that it is ready."""

    settings: NodeSettings
    stop: threading.Event
    ready: Path


@contextmanager
def turned_into(name: str, *, alone: bool = False) -> Iterator[TurnedProgram]:
    """Around the work of a program that ``settings_descriptor.turn_into`` started; wrong settings end it with REFUSED.

    Args:
        name: of the process.
        alone: whether it may run once only on a state folder.
    """
    settings = settings_from_descriptor(int(sys.argv[1]))
    log.configure(settings.log, process=name)
    if int(sys.argv[2]):
        end_with_parent(int(sys.argv[2]))
    path = ready_file(settings, name)
    stop = stop_on_signals()
    try:
        with ExitStack() as held:
            if alone:  # before it is counted: a second one is refused, and is no restart
                held.enter_context(only_one(settings.store.state_dir, name))
            held.enter_context(counted(settings.store.state_dir, name))
            yield TurnedProgram(settings, stop, path)
    except Misconfigured as error:
        sys.stderr.write(f"icansee: {error}\n")
        sys.exit(REFUSED)
    finally:
        withdraw(path)
