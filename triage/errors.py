"""Errors, sorted by who must act.

The reader: NotAssessable. Nobody yet: Transient. The site: Misconfigured. The sender: Rejected.
"""

from __future__ import annotations


class IcanseeError(Exception):
    """Base of every error the program raises on purpose; the message names what and why, without PHI."""


class NotAssessable(IcanseeError):  # noqa: N818 - a visible result, not a fault
    """The scan cannot answer the question.

    Args:
        code: short stable reason code, e.g. ``missing_slices``; part of the contract.
        message: a sentence for the reader, naming the figures that led to the refusal.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class Transient(IcanseeError):  # noqa: N818 - read as "a transient condition"
    """Trying again later may help (broker or database away, disk busy)."""


class Misconfigured(IcanseeError):  # noqa: N818 - read as "the site is misconfigured"
    """The request or the settings are wrong; the message names the field and the accepted values."""


class Rejected(IcanseeError):  # noqa: N818 - read as "rejected with a status"
    """A sender's object cannot be taken.

    Args:
        dicom_status: status for the C-STORE response (PS3.4 Annex B.2.3, PS3.7 Annex C).
        reason: short reason code for log and metrics.
        message: what was wrong, without PHI.
    """

    def __init__(self, dicom_status: int, reason: str, message: str) -> None:
        super().__init__(f"0x{dicom_status:04X} {reason}: {message}")
        self.dicom_status = dicom_status
        self.reason = reason
        self.message = message
