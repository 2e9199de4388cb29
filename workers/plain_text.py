"""Texts in, the same without characters that change how they are shown or parsed out: for pages, logs and exports.

What comes from outside is cleaned where it enters (``workers.identities.printable``). Here nothing gets out that came
in by a way nobody thought of.
"""

from __future__ import annotations

import json
import re
from typing import Any

from workers.identities import BIDI

# C0 but for tab and line ends, DEL, C1, and lone surrogates, which no encoding has
_CONTROLS = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff"
_HIDDEN = re.compile(f"[{_CONTROLS}{''.join(sorted(BIDI))}]")


def without_hidden(text: str) -> str:
    """The text without control and bidirectional characters; tabs and line ends stay."""
    return _HIDDEN.sub("", text)


def json_text(value: Any, *, indent: int | None = None, sort_keys: bool = False, compact: bool = False) -> str:
    """JSON in which such characters are escaped, not lost. compact: no blanks between values."""
    separators = (",", ":") if compact else None
    text = json.dumps(value, indent=indent, sort_keys=sort_keys, separators=separators, ensure_ascii=False, default=str)
    return _HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
