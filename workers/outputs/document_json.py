"""A document in, the text of ``document.json`` out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from workers.outputs.output import EvidenceFiles, Output


def render(document: Mapping[str, Any], _evidence: EvidenceFiles) -> bytes:
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()


DOCUMENT_JSON = Output("document", "document.json", "application/json", render)
