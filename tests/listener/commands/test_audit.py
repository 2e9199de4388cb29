"""icansee audit verify, at the terminal."""

from __future__ import annotations

from tests.listener.commands.cli_runner import Icansee
from workers.audit.journal import Journal


def test_verify(icansee: Icansee) -> None:
    assert icansee("audit", "verify").out.startswith("0 entries, none changed")
    path = icansee.folder / "state" / "web-audit.jsonl"
    for name in ("mina", "omar"):
        Journal(path).add({"who": name})
    answer = icansee("audit", "verify")
    assert (answer.code, answer.out[:9]) == (0, "2 entries")
    path.write_text(path.read_text(encoding="utf-8").replace("mina", "nina"), encoding="utf-8")
    answer = icansee("audit", "verify")
    assert (answer.code, answer.out[:6]) == (1, "line 1")
    assert "1 other entries, none changed" in answer.out
