"""What readers said in, how often they agree with each pattern out, with intervals. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from workers.act_ports import OF_A_FINDING, VERDICTS, Act, ActKind

Z_95 = 1.959963984540054  # two-sided 95 % of the normal distribution
NO_PATTERN = "none"  # decisions that found no pattern
COUNTED_AS = {
    ActKind.AGREED: "agreed",
    ActKind.ACCEPTED: "agreed",
    ActKind.DISAGREED: "disagreed",
    ActKind.REJECTED: "disagreed",
    ActKind.OTHER_CAUSE: "other_cause",
    ActKind.NOT_ASSESSABLE: "not_assessable",
}


@dataclass(frozen=True)
class Agreement:
    """Studies of one pattern by the last word about them.

    fraction: agreed of agreed, disagreed and other_cause, with the Wilson interval of 95 % from low to high; None
    without any. not_assessable is not among them.
    """

    pattern: str
    agreed: int
    disagreed: int
    other_cause: int
    not_assessable: int
    fraction: float | None
    low: float | None
    high: float | None


def wilson(successes: int, trials: int, z: float = Z_95) -> tuple[float, float]:
    """The score interval of a proportion (Wilson 1927); (0, 1) without trials."""
    if trials == 0:
        return 0.0, 1.0
    share, spread = successes / trials, z * z / trials
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / trials + spread / (4 * trials))
    return max(0.0, middle - half), min(1.0, middle + half)


def agreements(acts: Sequence[Act]) -> list[Agreement]:
    """One for each pattern that somebody judged, by name.

    The last word about a pattern of a study counts: that about the finding itself, else that about the decision.

    Args:
        acts: oldest first.
    """
    verdicts: dict[tuple[str, str], ActKind] = {}
    findings: dict[tuple[str, str], ActKind] = {}
    for act in acts:
        words = findings if act.kind in OF_A_FINDING else verdicts
        if act.kind in (*VERDICTS, *OF_A_FINDING):
            words.update({(act.study_instance_uid, name): act.kind for name in act.patterns or (NO_PATTERN,)})
    last = {**verdicts, **findings}
    return [
        _counted(name, [kind for (_, of), kind in last.items() if of == name]) for name in sorted({n for _, n in last})
    ]


def _counted(pattern: str, kinds: Sequence[ActKind]) -> Agreement:
    words = [COUNTED_AS[kind] for kind in kinds]
    agreed, disagreed, other = (words.count(word) for word in ("agreed", "disagreed", "other_cause"))
    judged = agreed + disagreed + other
    low, high = wilson(agreed, judged)
    known = (agreed / judged, low, high) if judged else (None, None, None)
    return Agreement(pattern, agreed, disagreed, other, words.count("not_assessable"), *known)
