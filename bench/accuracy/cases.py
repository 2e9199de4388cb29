"""The list of cases: each names its head, its seed and the change that is made. Nothing is computed here."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from bench.accuracy.heads import DWI, HEADS, REAL, Base

STRENGTHS = (5.0, 8.0, 10.0, 15.0, 20.0, 25.0)  # percent
SWELLING = 5.0  # percent, thalami and brain stem
KEY_STRENGTH = {"same": 10.0, "different": 15.0}  # of the table
PROTOCOLS = ("same", "different")
VENDORS = ("siemens", "ge", "philips")


@dataclass(frozen=True)
class Case:
    """One follow-up.

    kind: "no_change", "A" to "D", D_ALONE, "pair" (two real dates), "gate" (a fault that must be refused), "regions",
    "infarct".
    protocol: "same" or "different" acquisition of the two dates. strength: of the change, percent.
    option: which fault, site or date.
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
    """The baselines of a split.

    Real scans as they are, 3-D ones also as a thick stack; simulated ones in turn by vendor and 2-D/3-D.
    """
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


LESION_ML = (0.1, 0.3, 0.5)  # each; +LESION_PERCENT, LESIONS per scan
LESION_PERCENT, LESIONS = 35.0, 3
PATCH_ML, PATCH_RATIO = (1.0, 2.0), 0.75  # cortex with its ADC times the ratio
FLUID_LOST = (25.0, 40.0)  # percent of the sulcal fluid
D_ALONE = "D_flair"  # pattern D with a follow-up of FLAIR alone


def pattern_b(split: str) -> Iterator[Case]:
    """strength: volume of each focus, mL. The last ones enhance (simulated heads, T1 before and after contrast)."""
    for protocol in PROTOCOLS:
        for n, volume in enumerate(LESION_ML):
            for b, base in enumerate(bases(split)):
                if (b + n) % 3 == 0:
                    yield Case("B", base, protocol, strength=volume)
    for n, base in enumerate(b for b in bases(split) if HEADS[b.head].seed):
        yield Case("B", base, "same", strength=LESION_ML[n % 2], option="enhancing")


def pattern_c(split: str) -> Iterator[Case]:
    """strength: volume of the patch, mL; on heads with diffusion images."""
    for protocol in PROTOCOLS:
        for base in bases(split):
            if HEADS[base.head].seed or DWI in HEADS[base.head].files:
                for n, volume in enumerate(PATCH_ML):
                    yield Case("C", base, protocol, n, strength=volume)


def pattern_d(split: str) -> Iterator[Case]:
    """strength: percent of the sulcal fluid that is lost; the milder one on every third head. FLAIR alone is last."""
    for protocol in PROTOCOLS:
        for n, lost in enumerate(FLUID_LOST):
            for b, base in enumerate(bases(split)):
                if base.head != "isles22" and (n == 1 or b % 3 == 0):
                    yield Case("D", base, protocol, strength=lost)
    yield from (Case(D_ALONE, base, "same", strength=FLUID_LOST[1]) for base in bases(split) if base.head != "isles22")


def references() -> Iterator[Case]:
    """What needs no follow-up: regions against SAMSEG, the real infarct without a baseline."""
    for head in REAL:
        if head.segmentation:
            yield Case("regions", Base(head.name), "same")
    yield Case("infarct", Base("isles22"), "same")


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
    """All cases of a run. size: "quick" or "all"; kinds: letters of patterns.

    Pairs without a change always run; real pairs and gates run in the test split.
    """
    found: list[Case] = []
    found += no_change(split, 2)
    if "A" in kinds:
        found += pattern_a(split, 3)
    for letter, made in (("B", pattern_b), ("C", pattern_c), ("D", pattern_d)):
        if letter in kinds:
            found += made(split)
    if split == "test":
        found += [*pairs(), *references(), *gates()]
    if size == "all":
        return tuple(found)
    few = {b.name for b in bases(split)[::4]}
    found = [c for c in found if c.kind != "no_change" or c.number == 0]
    kept = [
        c
        for c in found
        if c.kind in ("pair", "regions", "infarct") or (c.kind == "gate" and c.number % 4 == 0) or c.base.name in few
    ]
    return tuple(kept)
