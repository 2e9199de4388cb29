"""The inputs that failed once (`run file CASE SIM OUT [variant]` of the shared folder): are they read right now?"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from bench.reading.priors import chosen
from bench.reading.verdicts import Outcome, Verdict, judged, read
from triage.errors import NotAssessable
from triage.model import SequenceKind, StudyImages


@dataclass(frozen=True)
class Known:
    """names: codes that a refusal of the follow-up may have. prior: whether the baseline is one; None: not asked.
    unchanged: the follow-up has the images of the baseline. without: kinds that the input leaves out by design."""

    case: str
    variant: str = ""
    names: tuple[str, ...] = ()
    prior: bool | None = True
    unchanged: bool = False
    without: tuple[SequenceKind, ...] = ()


KNOWN = (
    *(Known("case01", v) for v in ("overlay", "dirty", "signed", "clean")),
    *(Known("case01", v, prior=None, unchanged=True) for v in ("nochange-overlay", "nochange-clean")),
    *(Known("case02", v) for v in ("plain", "trailing")),
    *(Known("case03", v, ("not_grey",)) for v in ("dark", "bright")),
    *(Known("case04", v) for v in ("plain", "control", "agent_after")),
    *(Known("case05", v, ("mixed_contrasts",), prior=None) for v in ("plain", "swapped", "both")),
    *(Known("case06", v, without=(SequenceKind.ADC,)) for v in ("plain", "control", "two_series")),
    Known("case07"),
    *(Known("case10", v) for v in ("all", "half")),
    *(Known("case11", v, ("other_visit",)) for v in ("plain", "late", "morning")),
    Known("case12"),
    *(Known("case14", v) for v in ("dotted", "empty")),
    Known("case29", names=("absent",), prior=None),
    *(Known("case30", v, prior=False) for v in ("second", "day")),
)


def known_inputs(folder: Path, simulated: Path, work: Path, only: str) -> Iterator[tuple[str, Verdict]]:
    """Each input's name and verdict.

    Args:
        folder: holds the program ``run``.
        simulated: a patient of ``icansee simulate``.
    """
    now, before = read(simulated / "followup"), read(simulated / "baseline")
    assert isinstance(now, StudyImages)
    assert isinstance(before, StudyImages)
    for one in KNOWN:
        name = f"{one.case} {one.variant}".strip()
        if only in name:
            command = [str(folder / "run"), "file", one.case, str(simulated), str(work)]
            subprocess.run(
                [*command, *([one.variant] if one.variant else [])],
                check=True,
                env={"PYTHON": sys.executable, "PATH": "/usr/bin:/bin"},
            )
            right = replace(before, study=now.study) if one.unchanged else now  # its own date, the baseline's images
            right = replace(right, volumes={k: v for k, v in right.volumes.items() if k not in one.without})
            yield name, _verdict(one, right, read(work / "followup"), read(work / "baseline"))


def _verdict(
    one: Known, right: StudyImages, now: StudyImages | NotAssessable, before: StudyImages | NotAssessable
) -> Verdict:
    verdict = judged(right, now, frozenset(one.names))
    if verdict.outcome in (Outcome.WRONG, Outcome.OTHER_NAME) or one.prior is None:
        return verdict
    if isinstance(now, NotAssessable):
        return verdict
    assert isinstance(before, StudyImages), before
    choice = chosen(now, before)
    if (choice.study_instance_uid is not None) is not one.prior:
        return Verdict(Outcome.WRONG, f"the baseline is {'not ' * one.prior}taken: {choice.rejected}")
    return verdict
