"""Settings in, a file descriptor for a child program out. Settings may hold a password, which must not stand on a
command line."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from workers.settings import NodeSettings


def settings_to_descriptor(settings: NodeSettings) -> int:
    """A file without a name that holds the settings, to be inherited; the caller closes it.

    Raises:
        OSError: there is no memory for it, or no descriptor.
    """
    fd = os.memfd_create("settings", 0)
    os.write(fd, settings.model_dump_json().encode())
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def settings_from_descriptor(fd: int) -> NodeSettings:
    """The settings in such a file, which is closed."""
    with os.fdopen(fd, "rb") as source:
        return NodeSettings.model_validate_json(source.read())


def program_command(program: str, fd: int, settings: NodeSettings, parent: int | None) -> list[str]:
    """What starts a module with the settings in a descriptor that it inherits. Its arguments: the descriptor, the
    parent's number or 0, the state folder.
    """
    # the folder is for people: it tells this node's process from another's
    folder = str(settings.store.state_dir.absolute())
    return [sys.executable, "-P", "-m", program, str(fd), str(parent or 0), folder]


def program_environment() -> dict[str, str]:
    """The environment of such a program."""
    # glibc would give each of the many threads an arena of its own, which grows and is never given back
    return {"MALLOC_ARENA_MAX": "1", **os.environ}


def turn_into(program: str, settings: NodeSettings, parent: int | None) -> NoReturn:
    """Have this process, which keeps its number, run another module with these settings in a descriptor: one that loads
    less than the check of the settings did.
    """
    command = program_command(program, settings_to_descriptor(settings), settings, parent)
    os.execve(sys.executable, command, program_environment())  # noqa: S606 - ourselves
