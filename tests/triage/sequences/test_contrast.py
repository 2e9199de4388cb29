"""What a description says about the contrast agent: real words in many languages, and words about something else."""

from __future__ import annotations

import pytest

from tests.builders_dicom import a_header
from triage.model import SequenceKind
from triage.sequences.contrast import ContrastSaid, said_of_contrast
from triage.sequences.identify import AFTER_CONTRAST, SIDE_OPEN, identify, identify_study
from triage.sequences.words import names_agent

K = SequenceKind
T1 = {"scanning_sequence": ("SE",), "repetition_time_ms": 550.0, "echo_time_ms": 9.0}
FLAIR = {
    "scanning_sequence": ("SE", "IR"),
    "repetition_time_ms": 9000.0,
    "echo_time_ms": 119.0,
    "inversion_time_ms": 2500.0,
}

SAID = {
    ContrastSaid.AFTER: (
        "T1 post", "t1_mprage_post", "T1W_3D_POST", "AX T1 POST FS", "SAG T1 POST 3D MPRAGE", "T1 +C", "AX T1 C+",
        "T1+GD",
        "T1 c", "t1w_c", "T1ce", "t1postgd", "T1 postcontrast", "post con T1", "T1 with contrast", "T1 enhanced",
        "FLAIR CE", "T1 dotarem", "T1 POST 3 min", "t1_vibe_fs_post_dynamic",
        # other languages
        "t1_se_tra nach KM", "t1_tse_cor_KM", "T1 KM+", "T1 mit", "T1 mit KM", "T1 KM Kontrolle", "FLAIR nach KM-Gabe",
        "T1 3D TFE après Gado", "FLAIR apres injection", "T1 con mdc", "T1 dopo mdc", "T1 después de contraste",
        "T1 pós contraste", "T1 na contrast", "T1 po kontraście", "T1 с контрастом", "T1 造影後", "T1 増強後", "T1 增强",
        # fat, a place or a treatment beside the agent
        "AX T1 POST NON FS", "AX T1 POST W/O FS", "T1 +C without fat sat", "T1 GD NON FATSAT", "T1 KM ohne FS",
        "T1 Gd sans fatsat", "T1 post Gd basal ganglia", "T1 native space post KM", "T1 GD PRE CAR-T",
        "T1 GD POST CAR-T",
        "T1 PRE CAR-T post Gd", "T1 POST CAR-T GD", "T1 +C vor Therapie", "t1_mprage post perf", "T1 after DSC",
    ),
    ContrastSaid.BEFORE: (
        "T1 pre", "T1 pre FS", "pre T1 MPRAGE", "T1W_PRE_3D", "T1 pre con", "T1 precontrast", "T1 noncon", "T1 non con",
        "T1 non contrast", "T1 no gad", "AX T1 W/O", "T1 w/o contrast", "T1 without iv contrast", "T1 unenhanced",
        "T1 C-",
        "T1 C-_sag", "FLAIR KM-", "T1 pre gd pre cart", "T1 PRE CONTRAST post op",
        "t1_se_tra ohne KM", "T1 o. KM", "T1 oKM", "T1 vor KM", "T1 kein KM", "MPRAGE KM frei", "T1 nativ",
        "T1 sans gado", "T1 avant injection", "T1 pas d'injection", "T1 sin contraste", "T1 antes de contraste",
        "T1 basal",
        "T1 senza mdc", "T1 prima del mdc", "T1 voor contrast", "T1_zonder_contrast", "T1 przed kontrastem",
        "T1 bez kontrastu", "T1 без контраста", "T1 造影前", "T1 平扫", "T1 単純",
    ),
    ContrastSaid.OPEN: (
        "T1 pre and post contrast", "T1 pre/post", "T1 ohne und mit KM", "T1 with and without contrast",
        "T1 w/wo contrast", "T1 sans et avec gado", "T1 CAR-T POST", "T1 POST INFUSION", "T1 +",
    ),
    ContrastSaid.NOTHING: (
        "", "T1", "T1W", "T1 W SE", "t1_se_sag", "TRACE",
        "T1 PRE CAR-T", "T1 POST CAR-T", "FLAIR POST CAR-T", "FLAIR PRE CAR-T", "T1 POST CAR-T INFUSION",
        "T1 pre infusion",
        "T1 post axi-cel", "T1 post injection de CAR-T cells", "3D FLAIR post LD chemo", "T1 post op",
        "FLAIR post-treatment",
        "T1 vor Therapie", "T1 post day 7", "T1 post 3 months", "T1 posterior fossa", "T1 basal ganglia",
        "T1 native space",
        "T1 without fat sat", "T1 non FS", "T1 ohne FS", "AX T1 W/O FS", "FLAIR high contrast",
        "T1 enhanced resolution",
        "T1 Kontrolle", "T1 control", "FLAIR delayed",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("said", "words"), [(said, one) for said, those in SAID.items() for one in those])
def test_what_the_description_says(said: ContrastSaid, words: str) -> None:
    assert said_of_contrast(a_header(series_description=words)) is said


@pytest.mark.parametrize(
    ("words", "agent", "kind"),
    [
        ("T1", "", K.T1),  # noop: nothing is said
        ("T1", "GADOVIST", K.T1_GD),
        ("T1 pre", "GADOVIST", K.T1),
        ("T1 GD PRE CAR-T", "GADOVIST", K.T1_GD),
        ("T1 PRE CAR-T", "GADOVIST", K.T1_GD),
        ("T1 PRE CAR-T", "", K.T1),
        ("T1 POST CAR-T", "", K.T1),
        ("AX T1 POST NON FS", "GADOVIST", K.T1_GD),
        ("AX T1 POST NON FS", "", K.T1_GD),
        ("T1 pre and post contrast", "GADOVIST", K.T1_GD),
        ("T1 pre and post contrast", "", K.UNKNOWN),
        ("T1 POST INFUSION", "", K.UNKNOWN),
    ],
)
def test_t1(words: str, agent: str, kind: SequenceKind) -> None:
    found = identify(a_header(series_description=words, contrast_agent=agent, **T1))
    assert found.kind is kind, found.reasons
    assert (SIDE_OPEN in found.reasons) == (kind is K.UNKNOWN)


@pytest.mark.parametrize(
    ("words", "agent", "after"),
    [
        ("FLAIR", "", False),  # noop
        ("FLAIR", "GADOVIST", True),
        ("FLAIR +C", "", True),
        ("FLAIR POST CAR-T", "", False),
        ("FLAIR post op", "", False),
        ("FLAIR high contrast", "", False),
        ("FLAIR CAR-T POST", "", False),  # open: what the agent explains is taken from the count
        ("FLAIR PRE CAR-T", "GADOVIST", True),
        ("FLAIR vor KM", "GADOVIST", False),
    ],
)
def test_flair(words: str, agent: str, *, after: bool) -> None:
    found = identify(a_header(series_description=words, contrast_agent=agent, **FLAIR))
    assert found.kind is K.FLAIR
    assert any(reason.startswith(AFTER_CONTRAST) for reason in found.reasons) == after, found.reasons


@pytest.mark.parametrize(("number", "kind"), [(1, K.T1), (3, K.T1_GD)])
def test_the_order_settles_what_the_description_leaves_open(number: int, kind: SequenceKind) -> None:
    left_open = a_header(series_description="T1 POST INFUSION", series_number=number, **T1)
    enhanced = a_header(series_description="T1", series_number=2, contrast_agent="Gd", **T1)
    found, _ = identify_study([left_open, enhanced])
    assert found.kind is kind
    assert SIDE_OPEN not in found.reasons


NAMED = (
    "Gadovist", "GADOBUTROL", "10ML GADAVIST", "Dotarem 0.1 mmol/kg", "Gd-DTPA", "KM", "IV CONTRAST", "yes", "7.5 ml",
    "Gadovist, no reaction", "magnevist no complications", "REMOVED", "anonymized", "XXXX",
)  # fmt: skip
DENIED = (
    "", "-", "--", ".", "0", "0.0", "0 ml", "0.0 ml", "NONE", "No", "N", "n/a", "w/o", "UNENHANCED", "NO IV",
    "None given",
    "not given", "No IV contrast", "without iv contrast", "Contrast: none", "No Gadolinium", "no gad",
    "without gadolinium",
    "Nein", "keine", "kein KM", "KM: nein", "ohne Kontrastmittel", "sin contraste", "ninguno", "pas de produit",
    "nessuno",
    "geen contrast", "ingen", "brak", "нет", "なし", "无",
)  # fmt: skip


@pytest.mark.parametrize("stated", NAMED)
def test_an_agent(stated: str) -> None:
    assert names_agent(stated)


@pytest.mark.parametrize("stated", DENIED)
def test_no_agent(stated: str) -> None:
    assert not names_agent(stated)
