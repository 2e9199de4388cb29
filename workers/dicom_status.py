"""DICOM status codes under names, each with its place in the standard. No other file holds their numbers."""

from __future__ import annotations

# every service (PS3.7 Annex C)
SUCCESS = 0x0000  # section C.1.1
NO_SUCH_ATTRIBUTE = 0x0105
INVALID_VALUE = 0x0106  # of an attribute
PROCESSING_FAILURE = 0x0110  # section C.5.3
DUPLICATE_INSTANCE = 0x0111
NO_SUCH_INSTANCE = 0x0112
INVALID_ARGUMENT = 0x0115
INVALID_INSTANCE = 0x0117  # its UID breaks the rules of UIDs
NO_SUCH_CLASS = 0x0118  # section C.5.7
CLASS_CONFLICT = 0x0119  # the instance is there, but of another SOP class
MISSING_ATTRIBUTE = 0x0120
CLASS_NOT_SUPPORTED = 0x0122  # section C.5.6 and section 9.1.1.1.9
NO_SUCH_ACTION = 0x0123
NOT_AUTHORISED = 0x0124
DUPLICATE_INVOCATION = 0x0210
UNRECOGNISED_OPERATION = 0x0211
RESOURCE_LIMITATION = 0x0213

# C-STORE (PS3.4 Annex B.2.3)
OUT_OF_RESOURCES = 0xA700  # refused; the sender may try again
DOES_NOT_MATCH = 0xA900  # error: the data set does not match the SOP class, or the command that announced it
CLASS_DIFFERS = 0xB007  # warning: stored, but the data set is of another SOP class than announced
CANNOT_UNDERSTAND = 0xC000  # error: the data set cannot be read

# C-MOVE (PS3.4 table C.4-2)
MOVE_DESTINATION_UNKNOWN = 0xA801

# STOW-RS (PS3.18 table 10.5.3-2)
SYNTAX_NOT_SUPPORTED = 0xC122

# C-FIND (PS3.4 table C.4-1): another answer follows; the second one: without some optional keys
PENDING = (0xFF00, 0xFF01)

_WARNINGS = (0x0001, 0x0107, 0x0116)  # what was asked for was done, and an attribute is amiss (PS3.7 section C.4)

# the same object gets the same answer again, whatever the receiver does in the meantime (PS3.7 Annex C); NOT_AUTHORISED
# is no word about the object: the site repairs it
_REFUSED_FOR_GOOD = (
    NO_SUCH_ATTRIBUTE,
    INVALID_VALUE,
    INVALID_ARGUMENT,
    INVALID_INSTANCE,
    NO_SUCH_CLASS,
    CLASS_CONFLICT,
    CLASS_NOT_SUPPORTED,
    DUPLICATE_INVOCATION,
    UNRECOGNISED_OPERATION,
)


def is_warning(status: int) -> bool:
    """Whether an object was stored with a warning (PS3.7 Annex C: Bxxx, and section C.4: 0001, 0107, 0116)."""
    return status & 0xF000 == 0xB000 or status in _WARNINGS


def is_refusal_for_good(status: int) -> bool:
    """Whether a C-STORE of the same object is refused again (PS3.7 Annex C; PS3.4 B.2.3: A9xx and Cxxx)."""
    return status in _REFUSED_FOR_GOOD or status & 0xFF00 == DOES_NOT_MATCH or status & 0xF000 == CANNOT_UNDERSTAND
