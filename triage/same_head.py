"""A study with several FLAIR series in, the same study with the FLAIR of the head that its other series show out.

Headers do not tell a series of another head that carries the study's identity. Everything is measured on the FLAIR, so
the T1 and T2 of the study decide whether it is of this head.
"""

from __future__ import annotations

from dataclasses import replace

from triage.alignment.session import CHECKED, Session, align
from triage.errors import NotAssessable
from triage.model import SequenceKind, SkippedSeries, StudyImages
from triage.sequences.image import flair_doubts

OTHER_HEAD = "other_head"


def with_flair_of_this_head(images: StudyImages, session: Session) -> StudyImages:
    """The study with the first of its FLAIR series on which a T1 or T2 lies; as it is when one lies on the FLAIR in use
    already, when it holds none of them, or when none of the others is better.

    The FLAIR that is given up is listed among ``skipped``, and ``set_aside`` names it.

    Args:
        session: of ``images``, anchored on the FLAIR in use.
    """
    asked = {kind for kind in CHECKED if kind in images.volumes}
    if session.anchor is not SequenceKind.FLAIR or not asked or asked & set(session.to_anchor):
        return images
    why = f"the {' and '.join(kind.value for kind in CHECKED if kind in asked)} of the study show another head"
    own = images.used[SequenceKind.FLAIR]
    for n, (uid, read) in enumerate(images.spare_flairs):
        try:
            flair = read()
        except NotAssessable:
            continue
        tried = replace(images, volumes={**images.volumes, SequenceKind.FLAIR: flair})
        if not asked & set(align(tried, asked).to_anchor):
            continue
        return replace(
            tried,
            used={**images.used, SequenceKind.FLAIR: uid},
            skipped=(
                *(one for one in images.skipped if one.series_instance_uid != uid),
                SkippedSeries(own, OTHER_HEAD, f"{why}; the next FLAIR was taken"),
            ),
            spare_flairs=images.spare_flairs[n + 1 :],
            doubts=flair_doubts(flair),
            set_aside=(*images.set_aside, f"one FLAIR is left out: {why}; another FLAIR of the study is assessed"),
        )
    return images
