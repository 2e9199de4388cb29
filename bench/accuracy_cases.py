"""Which cases are run: lists of frozen values, each with its head, its seed and what is done to it. Nothing is computed here."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from bench.accuracy_bases import HEADS, REAL, Base

STRENGTHS = (5.0, 8.0, 10.0, 15.0, 20.0, 25.0)  # percent
SWELLING = 5.0  # percent, thalami and brain stem
KEY_STRENGTH = {"same": 10.0, "different": 15.0}  # of the table
PROTOCOLS = ("same", "different")
VENDORS = ("siemens", "ge", "philips")


@dataclass(frozen=True)
class Case:
    """One follow-up. kind: "no_change", "A" to "D", "pair" (two real dates) or "gate" (a fault that must be refused).

    protocol: "same" or "different" acquisition of the two dates. strength: of the change, percent. option: which fault, site or date.
    """

    kind: str
    base: Base
    protocol: str
    number: int = 0
    strength: float = 0.0
    option: str = ""
    split: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "split", HEADS[self.base.head].split)

    @property
    def name(self) -> str:
        parts = (self.kind, self.base.name, self.protocol, f"{self.strength:g}", self.option, str(self.number))
        return "/".join(part for part in parts if part)

    @property
    def seed(self) -> int:
        return zlib.crc32(f"{self.split}/{self.name}".encode())


def bases(split: str) -> tuple[Base, ...]:
    """The baselines of a split: real scans as they are, 3-D ones also as a thick stack, simulated ones in turn by vendor and 2-D/3-D."""
    real: list[Base] = []
    for head in REAL:
        if head.split == split:
            real.append(Base(head.name))
            if head.name in ("flair_3d", "patient07"):
                real.append(Base(head.name, "thick"))
    simulated = [h for h in HEADS.values() if h.split == split and h.seed]
    variants = [f"{VENDORS[n % 3]}-{'3d' if n % 4 == 3 else '2d'}" for n in range(len(simulated))]
    return (*real, *(Base(h.name, v) for h, v in zip(simulated, variants, strict=True)))


def no_change(split: str, repeats: int) -> Iterator[Case]:
    for base in bases(split):
        for protocol in PROTOCOLS:
            for number in range(repeats):
                yield Case("no_change", base, protocol, number)


def pattern_a(split: str, every: int) -> Iterator[Case]:
    """The key strengths on every base, the others on each ``every``-th (shifted from strength to strength)."""
    for protocol in PROTOCOLS:
        for n, strength in enumerate(STRENGTHS):
            for b, base in enumerate(bases(split)):
                if strength == KEY_STRENGTH[protocol] or (b + n) % every == 0:
                    yield Case("A", base, protocol, strength=strength)


def pairs() -> Iterator[Case]:
    """The two real dates of the public pairs."""
    for patient in ("open_ms01", "open_ms03"):
        yield Case("pair", Base(f"{patient}a"), "different", option=f"{patient}b")


def gates() -> Iterator[Case]:
    """Sixty deliberate faults; each must end as not assessable with a reason."""
    yield from _other_heads()
    yield from _faults(
        "geometry",
        ("wide", "narrow", "tall", "flat", "larger", "smaller", "upside_down", "mirrored", "mirrored", "turned"),
    )
    yield from _faults(
        "coverage", ("no_top", "no_bottom", "left_half", "no_front", "upper_half", "lower_half", "no_top", "right_half")
    )
    yield from _faults("motion", ("ghosts",) * 4 + ("jumps",) * 4)
    yield from _contrasts()
    yield from _faults("start", ("far",) * 12)


def _other_heads() -> Iterator[Case]:
    test = bases("test")
    for n in range(14):
        base, other = test[n % len(test)], test[(n * 5 + 3) % len(test)]
        if HEADS[base.head].patient == HEADS[other.head].patient:
            other = test[(n * 5 + 6) % len(test)]
        yield Case("gate", base, "different", n, option=f"other_head:{other.head}:{other.variant}")


def _faults(group: str, faults: tuple[str, ...]) -> Iterator[Case]:
    test = bases("test")
    for n, fault in enumerate(faults):
        yield Case("gate", test[(3 * n + len(group)) % len(test)], "same", n, option=f"{group}:{fault}")


def _contrasts() -> Iterator[Case]:
    for n, (head, kind) in enumerate(
        (
            ("open_ms01a", "t1"), ("open_ms01a", "t2"), ("open_ms01b", "t1"), ("open_ms01b", "t2"),
            ("open_ms03a", "t2"), ("open_ms03b", "t1"), ("open_ms03b", "t2"), ("isles22", "dwi"),
        )
    ):  # fmt: skip
        yield Case("gate", Base(head), "same", n, option=f"contrast:{kind}")


def cases(size: str, split: str, kinds: str) -> tuple[Case, ...]:
    """The run. size: "quick" or "all"; kinds: letters of patterns; no-change pairs, real pairs and gates always run (test split)."""
    found: list[Case] = []
    found += no_change(split, 2)
    if "A" in kinds:
        found += pattern_a(split, 3)
    if split == "test":
        found += [*pairs(), *gates()]
    if size == "all":
        return tuple(found)
    few = {b.name for b in bases(split)[::4]}
    found = [c for c in found if c.kind != "no_change" or c.number == 0]
    kept = [c for c in found if c.kind == "pair" or (c.kind == "gate" and c.number % 4 == 0) or c.base.name in few]
    return tuple(kept)
