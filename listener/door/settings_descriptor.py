"""Settings in, a file descriptor for a child program out. Settings may hold a password, which must not stand on a
command line."""

from __future__ import annotations

import os

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
