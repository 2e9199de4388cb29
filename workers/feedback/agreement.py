"""What readers said in, how often they agree with each pattern out, with intervals. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from workers.act_ports import OF_A_FINDING, VERDICTS, Act, ActKind
from workers.delivery_ports import Decided

Z_95 = 1.959963984540054  # two-sided 95 % of the normal distribution
NO_PATTERN = "none"  # decisions that found no pattern
NOT_ASSESSED = (
    "not_assessable"  # decisions that could not be assessed: who agrees with one has not said that none is there
)
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


def agreements(acts: Sequence[Act], not_assessed: Collection[Decided] = ()) -> list[Agreement]:
    """One for each pattern that somebody judged, by name; decisions without one under NO_PATTERN or NOT_ASSESSED.

    The last word about a pattern of a study counts: about one decision that about the finding itself before that about
    the decision, and a word about a newer decision before both.

    Args:
        acts: oldest first.
        not_assessed: of ``Acts.not_assessed``.
    """
    last: dict[tuple[str, str], Act] = {}
    for act in acts:
        if act.kind in (*VERDICTS, *OF_A_FINDING):
            decided = Decided(act.study_instance_uid, act.revision, act.stage)
            for name in act.patterns or (NOT_ASSESSED if decided in not_assessed else NO_PATTERN,):
                before = last.get((act.study_instance_uid, name))
                if before is None or not _stands(before, act):
                    last[act.study_instance_uid, name] = act
    return [
        _counted(name, [act.kind for (_, of), act in last.items() if of == name])
        for name in sorted({n for _, n in last})
    ]


def _stands(before: Act, act: Act) -> bool:
    """Whether the earlier word is about the finding itself, and the later one only about the same decision."""
    same = (before.revision, before.stage) == (act.revision, act.stage)
    return same and before.kind in OF_A_FINDING and act.kind not in OF_A_FINDING


def _counted(pattern: str, kinds: Sequence[ActKind]) -> Agreement:
    words = [COUNTED_AS[kind] for kind in kinds]
    agreed, disagreed, other = (words.count(word) for word in ("agreed", "disagreed", "other_cause"))
    judged = agreed + disagreed + other
    low, high = wilson(agreed, judged)
    known = (agreed / judged, low, high) if judged else (None, None, None)
    return Agreement(pattern, agreed, disagreed, other, words.count("not_assessable"), *known)
