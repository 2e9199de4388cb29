"""A document in, the text of ``document.json`` out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workers.outputs.output import EvidenceFiles, Output
from workers.plain_text import json_text


def render(document: Mapping[str, Any], _evidence: EvidenceFiles) -> bytes:
    return (json_text(document, indent=1) + "\n").encode()


DOCUMENT_JSON = Output("document", "document.json", "application/json", render)
