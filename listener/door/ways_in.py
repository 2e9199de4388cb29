"""Settings in, the ways in beside the DICOM port running meanwhile: STOW-RS and the drop folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from listener.door.repeating import repeating
from listener.receiving.reception import Reception
from workers.settings import NodeSettings

DROP_EVERY_S = 0.5


@contextmanager
def ways_in(settings: NodeSettings, reception: Reception) -> Iterator[int | None]:
    """The port of STOW-RS; None: it is off.

    Raises:
        Misconfigured: an address, a folder, a certificate or the token cannot be used.
    """
    if settings.stow.port is None and settings.store.drop_dir is None:
        yield None
        return
    from listener.intake.server import drop_folder_of, stow_server

    with ExitStack() as parts:
        port = parts.enter_context(stow_server(settings, reception))
        folder = drop_folder_of(settings, reception)
        if folder is not None:
            parts.enter_context(repeating("drop", folder.look, every_s=DROP_EVERY_S))
        yield port
