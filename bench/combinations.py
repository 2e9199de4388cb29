"""Adding any series to any study makes its result no worse: random studies with random series added to them.

python -m bench.combinations                      # 600 combinations, about 40 minutes of one core
python -m bench.combinations --count 20 --seed 7

A combination is a follow-up (unchanged, pattern A, a new lesion) and one to four series drawn from ``ADDED``: derived
copies, repeats that moved, other heads, wrong geometry, contrast, other kinds. It goes through the reader and the
engine as files. Worse is a lower category, a lower priority, or a pattern that can no longer be judged.

Every combination is read and its series chosen. What was chosen before, voxel by voxel, is not measured again.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import scipy.ndimage as ndi

import atlas as package
from simulation.dicom import PatientIdentity, StudyIdentity, uid, write_volume
from triage.alignment.images import (
    NEAREST,
    from_sitk,
    isotropic_grid,
    resample,
    smooth_to,
    to_sitk,
)
from triage.alignment.session import Session
from triage.anatomy import THALAMI, mask_of
from triage.assessment import Assessed, full
from triage.decision import urgency
from triage.draft import Context
from triage.model import (
    Atlas,
    BaselineChoice,
    Category,
    Presence,
    SequenceKind,
    SeriesHeader,
    StudyImages,
    Volume,
)
from triage.next_flair import in_turn, is_flair_after_contrast, like_baseline
from triage.preparation import PreparedBaseline
from triage.report.contents import Assessment
from triage.settings import TriageSettings
from triage.signal.change import MeasurementLimits
from workers.reading.study import read_study

MM = 2.0
F, T1, T2, GD = (SequenceKind(kind) for kind in ("flair", "t1", "t2", "t1_gd"))
PATIENT = PatientIdentity("SIM-COMBINATION", "Simulated^Combination")
STARTED = datetime(2024, 3, 11, 10)  # noqa: DTZ001 - DICOM times have no zone
BASELINE = BaselineChoice("1.2", date(2024, 2, 23), "bench")
# Coarser than the default, for speed
SETTINGS = TriageSettings(measuring_spacing_mm=2.5, measurement=MeasurementLimits(pseudo_regions=12), threads=1)
CATEGORIES = (Category.NOT_ASSESSABLE, Category.NO_PATTERN, Category.POSSIBLE, Category.NEUROTOXICITY_SUSPECTED)


@dataclass(frozen=True, eq=False)
class Head:
    """One head of 2 mm voxels in three contrasts and its regions, on one grid."""

    volumes: Mapping[SequenceKind, Volume]
    labels: Volume
    brain: Volume
    names: Mapping[int, str]


def the_head(atlas: Atlas) -> Head:
    """The template. T2 is made of the FLAIR: fluid is the brightest."""
    grid = isotropic_grid(to_sitk(atlas.template_flair), MM)
    flair, t1 = (
        from_sitk(resample(smooth_to(to_sitk(one), MM), grid)) for one in (atlas.template_flair, atlas.template_t1)
    )
    labels, brain = (from_sitk(resample(to_sitk(one), grid, how=NEAREST)) for one in (atlas.labels, atlas.brain_mask))
    regions = labels.voxels.astype(np.uint8)
    fluid = (brain.voxels > 0) & (flair.voxels < 0.5 * float(np.median(flair.voxels[regions > 0])))
    t2 = np.where(fluid, 2.0 * float(flair.voxels.max()), flair.voxels).astype(np.float32)
    inside = Volume((brain.voxels > 0).astype(np.uint8), labels.affine)
    return Head(
        {F: flair, T1: t1, T2: Volume(t2, flair.affine)},
        Volume(regions, labels.affine), inside, dict(atlas.label_names),
    )  # fmt: skip


def prepared(head: Head) -> PreparedBaseline:
    """The baseline: the head as it is, its regions known instead of looked for."""
    scan = scanned(head.volumes[F], 1)
    session = Session(F, {F: scan}, {F: np.eye(4)})
    return PreparedBaseline("1.2", "1.2.1", SeriesHeader("1.2.1"), scan, head.labels, head.brain, head.names, session)


def scanned(volume: Volume, seed: int, noise: float = 0.02) -> Volume:
    """With noise, as whole numbers up to 4000."""
    top = float(np.percentile(volume.voxels, 99.5))
    rng = np.random.default_rng(seed)
    voxels = 2000.0 * (volume.voxels / top + rng.normal(0, noise, volume.voxels.shape))
    return Volume(np.clip(np.rint(voxels), 0, 4000).astype(np.float32), volume.affine)


# -- follow-ups ------------------------------------------------------------------------------------


def unchanged(head: Head) -> Volume:
    return head.volumes[F]


def swollen_thalami(head: Head) -> Volume:
    inside = mask_of(head.labels.voxels, head.names, (*THALAMI, "pons"))
    return Volume(np.where(inside, 1.2 * head.volumes[F].voxels, head.volumes[F].voxels), head.volumes[F].affine)


def new_lesion(head: Head) -> Volume:
    white = mask_of(head.labels.voxels, head.names, ("white_matter_left",))
    deep = ndi.distance_transform_edt(white)
    away = np.linalg.norm(np.indices(white.shape).T - np.array(np.unravel_index(deep.argmax(), white.shape)), axis=-1).T
    return Volume(np.where(away < 3.5, 1.5 * head.volumes[F].voxels, head.volumes[F].voxels), head.volumes[F].affine)


FOLLOWUPS: Mapping[str, Callable[[Head], Volume]] = {
    "unchanged": unchanged, "swollen thalami": swollen_thalami, "new lesion": new_lesion,
}  # fmt: skip

# -- what is added ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Added:
    """A series: the kind that its header states, its image, and header elements of its own."""

    kind: SequenceKind
    image: Callable[[Volume, Head], Volume]
    header: Mapping[str, object]


def _blank_slices(flair: Volume, _: Head) -> Volume:
    voxels = flair.voxels.copy()
    voxels[::3] = 0
    return Volume(voxels, flair.affine)


def _outline(flair: Volume, _: Head) -> Volume:
    voxels = flair.voxels.copy()
    voxels[:, 20, 15:60] = 4.0 * float(voxels.max())
    return Volume(voxels, flair.affine)


def _half(flair: Volume, _: Head) -> Volume:
    return Volume(flair.voxels[: len(flair.voxels) // 2], flair.affine)


def _moved_between_slices(flair: Volume, _: Head) -> Volume:
    rng = np.random.default_rng(5)
    shifts = rng.integers(-6, 7, (len(flair.voxels), 2))
    return Volume(
        np.stack([np.roll(p, tuple(s), (0, 1)) for p, s in zip(flair.voxels, shifts, strict=True)]), flair.affine
    )


def _noisy(flair: Volume, _: Head) -> Volume:
    return scanned(flair, 9, noise=0.25)


def _another_head(flair: Volume, _: Head) -> Volume:
    rng = np.random.default_rng(6)
    index = np.indices(flair.voxels.shape).astype(np.float64)
    for axis in range(3):
        field = ndi.gaussian_filter(rng.normal(size=flair.voxels.shape), 5.0)
        index[axis] += 4.0 * field / field.std()
    return Volume(ndi.map_coordinates(flair.voxels, index, order=1).astype(np.float32), flair.affine)


def _stretched(flair: Volume, _: Head) -> Volume:
    return Volume(flair.voxels, flair.affine @ np.diag([1.0, 1.0, 1.3, 1.0]))


def _after_contrast(flair: Volume, head: Head) -> Volume:
    """The rim of the brain and the old borders of the ventricles are brighter."""
    rim = (head.brain.voxels > 0) & ~ndi.binary_erosion(head.brain.voxels > 0, iterations=2)
    return Volume(np.where(rim, 1.5 * flair.voxels, flair.voxels).astype(np.float32), flair.affine)


def _own(kind: SequenceKind) -> Callable[[Volume, Head], Volume]:
    return lambda _, head: head.volumes[kind]


def _shifted(kind: SequenceKind) -> Callable[[Volume, Head], Volume]:
    def image(_: Volume, head: Head) -> Volume:
        affine = head.volumes[kind].affine.copy()
        affine[:3, 3] += (30.0, 30.0, 10.0)
        return Volume(head.volumes[kind].voxels, affine)

    return image


def _of_another(kind: SequenceKind) -> Callable[[Volume, Head], Volume]:
    return lambda _, head: _another_head(head.volumes[kind], head)


def _same(flair: Volume, _: Head) -> Volume:
    return flair


DERIVED: Mapping[str, object] = {"ImageType": ("DERIVED", "SECONDARY", "M", "ND")}
AGENT: Mapping[str, object] = {"ContrastBolusAgent": "Gadobutrol"}
NAMELESS: Mapping[str, object] = {"SeriesDescription": "", "ProtocolName": ""}
ADDED: Mapping[str, Added] = {
    "a copy with blank slices": Added(F, _blank_slices, {}),
    "a copy with an outline": Added(F, _outline, {}),
    "a derived copy": Added(F, _same, DERIVED),
    "half of it": Added(F, _half, {}),
    "a repeat that moved": Added(F, _moved_between_slices, {}),
    "a noisy repeat": Added(F, _noisy, {}),
    "a FLAIR of another head": Added(F, _another_head, {}),
    "a FLAIR with a wrong slice distance": Added(F, _stretched, NAMELESS),
    "a FLAIR after contrast": Added(F, _after_contrast, AGENT),
    "its T1": Added(T1, _own(T1), {}),
    "a T1 far away": Added(T1, _shifted(T1), {}),
    "a T1 of another head": Added(T1, _of_another(T1), NAMELESS),
    "a T1 that is a FLAIR": Added(T1, _same, {}),
    "a T1 after contrast": Added(GD, _own(T1), AGENT),
    "a T1 after contrast of another head": Added(GD, _of_another(T1), AGENT),
    "its T2": Added(T2, _own(T2), {}),
    "a T2 with a wrong slice distance": Added(T2, lambda _, head: _stretched(head.volumes[T2], head), {}),
    "time of flight": Added(T1, _own(T1), {**NAMELESS, "ScanningSequence": "GR", "SequenceName": "*fl3d1r_t70"}),
    "a localizer": Added(T1, _own(T1), {"ImageType": ("ORIGINAL", "PRIMARY", "LOCALIZER")}),
}  # fmt: skip

# -- the search ------------------------------------------------------------------------------------


def write_study(folder: Path, head: Head, followup: str, added: list[str]) -> list[Path]:
    """The files of a follow-up with the series added to it, each with the number of its place.

    A series that stands in ``folder`` from an earlier study is not written again. The noise of a series is the same at
    every place; a second copy of one has noise of its own.
    """
    paths: list[Path] = []
    for number, name in enumerate(["", *added], start=1):
        copy = ["", *added][: number - 1].count(name)
        out = folder / f"{followup}-{name}-{number}-{copy}"
        if not out.exists():
            one = ADDED[name] if name else Added(F, _same, {})
            study = StudyIdentity(
                uid("combination", "study"), uid("combination", "frame"), STARTED + timedelta(minutes=number)
            )
            seed = 20 + 2 * len(ADDED) * copy + ["", *ADDED].index(name)
            image = scanned(one.image(FOLLOWUPS[followup](head), head), seed)
            write_volume(
                image, out, kind=one.kind, patient=PATIENT, study=study, series_number=number, header=one.header
            )
        paths += sorted(out.iterdir())
    return paths


Look = Callable[..., Assessed]


def assessed(
    paths: list[Path],
    baseline: PreparedBaseline,
    atlas: Atlas,
    *,
    look: Look = full,
    known: dict[bytes, Assessed] | None = None,
) -> Assessment:
    """As a node would decide it.

    Args:
        look: ``first_look`` or ``full``.
        known: what was measured before, by ``choice_of``; what is measured now is added. FLAIRs are taken in turn as
            the engine does it.
    """
    before: dict[bytes, Assessed] = {} if known is None else known

    def measured(tried: StudyImages) -> Assessed:
        key = choice_of(tried)
        if key not in before:
            alone = replace(tried, spare_flairs=())
            before[key] = look(alone, baseline, Context(date(2024, 3, 4), BASELINE, {}), atlas, SETTINGS)
        return before[key]

    return in_turn(like_baseline(read_study(paths), baseline.after_contrast), measured).assessment


def choice_of(images: StudyImages) -> bytes:
    """A digest of all that is measured of a study: voxels and places of the chosen volumes, doubts, the agent; without
    a FLAIR also why others were left out."""
    digest = hashlib.sha256()
    for kind, volume in sorted(images.volumes.items()):
        digest.update(kind.value.encode())
        digest.update(np.ascontiguousarray(volume.voxels).tobytes())
        digest.update(np.asarray(volume.affine, np.float64).tobytes())
    left_out = [] if F in images.volumes else sorted(one.code for one in images.skipped)
    said = (images.doubts, is_flair_after_contrast(images), left_out)
    digest.update(repr(said).encode())
    return digest.digest()


def worse(before: Assessment, after: Assessment) -> list[str]:
    """What adding the series made worse, as sentences."""
    said = []
    first, then = (CATEGORIES.index(one.decision.category) for one in (before, after))
    if then < first:
        said.append(f"category {before.decision.category} became {after.decision.category}")
    if urgency(after.decision.priority) < urgency(before.decision.priority):
        said.append(f"priority {before.decision.priority} became {after.decision.priority}")
    judged = [{f.pattern for f in one.findings if f.presence is not Presence.INDETERMINATE} for one in (before, after)]
    if lost := judged[0] - judged[1]:
        said.append(f"no longer judged: {', '.join(sorted(lost))}")
    return said


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    draw, atlas = random.Random(given.seed), package.load()
    head = the_head(atlas)
    baseline, found = prepared(head), 0
    known: dict[bytes, Assessed] = {}
    with tempfile.TemporaryDirectory() as work:

        def result(followup: str, added: list[str]) -> Assessment:
            return assessed(write_study(Path(work), head, followup, added), baseline, atlas, known=known)

        alone = {name: result(name, []) for name in FOLLOWUPS}
        for name, one in alone.items():
            print(f"{name}: {one.decision.category}, {one.decision.priority}", flush=True)
        for number in range(given.count):
            followup, added = draw.choice(sorted(FOLLOWUPS)), draw.choices(sorted(ADDED), k=draw.randint(1, 4))
            after = result(followup, added)
            if said := worse(alone[followup], after):
                found += 1
                print(f"{number}: {followup} + {added}: {'; '.join(said)}; {after.decision.reasons}", flush=True)
            elif number % 20 == 19:
                print(f"{number + 1} combinations, {len(known)} choices measured, {found} worse", flush=True)
    print(f"{given.count} combinations, {len(known)} choices measured, {found} worse")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
