"""The state of a node in, what its operations page says out: plain words, and what to do. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from workers.delivery_ports import Delivery
from workers.ports import ConflictRow

GB = 1e9

# problem of the health check -> (what it means, what to do)
PROBLEM_WORDS: Mapping[str, tuple[str, str]] = {
    "index": (
        "The index does not answer, or is being built again.",
        "Look at the disk and the database; see the note.",
    ),
    "broker": ("The queue does not answer; studies wait.", "Is its process running? It is started again by itself."),
    "disk": ("The disk has less free space than store.min_free_bytes; images are refused.", "Free or add space."),
    "queue": ("A study waits too long, or is tried again and again.", "Look at the worker and at studies that failed."),
    "beat": ("The process that looks for complete studies is silent.", "It is started again; read its log."),
    "feeds": ("A message of a clinical system was not applied.", "icansee feeds list"),
    "accounts": (
        "Other machines reach this page and there is no account, so nobody can sign in.",
        "icansee users add NAME --role administrator",
    ),
    "deliveries": ("Something did not reach a destination.", "See the destinations below; retry when they answer."),
}


@dataclass(frozen=True)
class Trouble:
    """What is wrong: a name, its meaning, and what to do."""

    name: str
    words: str
    advice: str


def troubles(problems: Sequence[str]) -> list[Trouble]:
    """In the order of the health check. A problem without words is a process by its name."""
    plain = ("The process {} gives no sign of life or ends again and again.", "It is started again; read its log.")
    return [
        Trouble(name, *(PROBLEM_WORDS.get(name) or (plain[0].format(name), plain[1])))
        for name in dict.fromkeys(problems)
    ]


def seconds_words(seconds: float | None) -> str:
    """3 s, 4 min, 2 h."""
    if seconds is None:
        return "–"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def percentiles(values: Sequence[float], shares: Sequence[float] = (0.5, 0.9, 0.99)) -> dict[str, str]:
    """ "50 %" -> the smallest value that this share of all values does not exceed, in words; empty without values."""
    ordered = sorted(values)
    if not ordered:
        return {}
    return {
        f"{share:.0%}".replace("%", " %"): seconds_words(ordered[max(0, -int(-share * len(ordered) // 1) - 1)])
        for share in shares
    }


def disk_words(free_bytes: float) -> str:
    return f"{free_bytes / GB:.1f} GB free"


def state_counts(tallies: Mapping[tuple[str, str, str], int]) -> dict[str, int]:
    """(state, category, priority) -> number in; state -> number out."""
    found: dict[str, int] = {}
    for (state, _category, _priority), number in tallies.items():
        found[state] = found.get(state, 0) + number
    return dict(sorted(found.items()))


def today_lines(found: Sequence[Delivery], now: datetime, zone: tzinfo | None) -> list[dict[str, Any]]:
    """What was planned since midnight of the site: number by destination, output and state."""
    today = now.astimezone(zone).date()
    mine = [one for one in found if one.planned_at is not None and one.planned_at.astimezone(zone).date() == today]
    counted = Counter((one.destination, one.output, one.state.value) for one in mine)
    names = ("destination", "output", "state")
    return [dict(zip(names, key, strict=True)) | {"number": counted[key]} for key in sorted(counted)]


def aside_lines(found: Sequence[ConflictRow], zone: tzinfo | None, *, most: int) -> list[dict[str, Any]]:
    """Objects that came under a known UID with other content, the newest first. No patient: the role service reads
    this."""
    return [
        {
            "at": one.received_at.astimezone(zone).strftime("%Y-%m-%d %H:%M"),
            "calling_ae": one.calling_ae,
            "file": one.path,
            "why": "corrected headers, the same image" if one.same_images else "other content under a known UID",
        }
        for one in sorted(found, key=lambda one: one.received_at, reverse=True)[:most]
    ]


def node_facts(health: Mapping[str, Any]) -> dict[str, Any]:
    """What the page shows of the health check."""
    return {
        "troubles": troubles(health["problems"]),
        "processes": {
            name: {
                "works": one["state"] == "works",
                "state": one["state"],
                "silence": seconds_words(one["silence_s"]),
                "starts": one["starts"],
            }
            for name, one in sorted(health["processes"].items())
        },
        "disk": disk_words(health["free_bytes"]),
        "oldest": seconds_words(health["oldest_due_s"]),
        "due": health["due"],
        "index_note": health["index_note"],
        "destinations": {
            name: one | {"oldest": seconds_words(one["oldest_s"])} for name, one in sorted(health["deliveries"].items())
        },
    }
