"""A reading process of the tests: does what the question says."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from workers.reading.child import answer_questions


def answer(question: Mapping[str, Any]) -> dict[str, Any]:
    if question["do"] == "hang":
        time.sleep(60)
    if question["do"] == "die":
        os._exit(3)
    if question["do"] == "close its pipe":  # what a parent sees of a dying process that the system still counts
        os.closerange(3, 64)
        time.sleep(60)
    if question["do"] == "fill":
        try:
            return {"size": len(bytes(question["bytes"]))}
        except MemoryError:
            return {"size": "refused"}
    os.write(1, b"chatter of a library")
    return {"pid": os.getpid()}


if __name__ == "__main__":
    answer_questions(answer)
