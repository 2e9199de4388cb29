"""Why a delivery was not taken: two kinds, because one is tried again by itself and the other is not."""

from __future__ import annotations


class DeliveryError(Exception):
    """The other side does not have it. The text names what and why, without patient data."""


class DeliveryRejected(DeliveryError):  # noqa: N818 - the base class has the suffix
    """The receiver answered, and says no to this very object: sending it again would not help."""


class Unreachable(DeliveryError):  # noqa: N818 - the base class has the suffix
    """The receiver is away, too busy, or its answer makes no sense: it is tried again.

    again_after_s: the receiver asks not to be called before; None: it says nothing about it.
    """

    def __init__(self, text: str, *, again_after_s: float | None = None) -> None:
        super().__init__(text)
        self.again_after_s = again_after_s


class WaitsAloneError(Unreachable):
    """The receiver is there, and has not taken all of this one yet: it is tried again, and nothing else waits for
    that."""


class NotCommittedError(WaitsAloneError):
    """A DICOM node answered that it has stored the object, and does not commit itself to it."""


class NotAskedError(DeliveryRejected):
    """It cannot be sent at all: the receiver was not asked."""


class FilesLostError(NotAskedError):
    """The files of the decision were never written."""
