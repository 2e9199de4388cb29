"""Spellings of patient IDs: which are one, by which setting, and what is said about them."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.effort import within
from triage.identity import OfOneId, SameId, compare_identity, id_form, one_person, repaired, same_form
from triage.model import Patient

BORN = date(1961, 2, 3)
FULL_WIDTH = "００１２Ａ"

ONE_ID = [
    pytest.param("0012", "0012", None, id="noop: the very same"),
    pytest.param("0012 ", "0012", None, id="noop: padded as DICOM pads"),
    pytest.param("0012\0", "0012", None, id="noop: a trailing NUL"),
    pytest.param("12", "0012", "leading zeros", id="leading zeros"),
    pytest.param("000", "0", "leading zeros", id="nothing but zeros"),
    pytest.param("AB0012", "AB12", "leading zeros", id="zeros behind a prefix"),
    pytest.param("12-034", "12-34", "leading zeros", id="zeros in a later part"),
    pytest.param("ab12", "AB12", "case", id="case"),
    pytest.param("12 34", "1234", "blanks", id="a blank inside"),
    pytest.param(" 0012", "0012", None, id="a leading blank is padding"),
    pytest.param("1234\N{NO-BREAK SPACE}", "1234", "blanks", id="a no-break space"),
    pytest.param("1234\N{ZERO WIDTH SPACE}", "1234", "blanks", id="a zero-width space"),
    pytest.param("12\t34", "1234", "blanks", id="a tabulator"),
    pytest.param("００１２", "0012", "character set", id="full-width digits"),
    pytest.param("００１２", "12", "leading zeros", id="full-width digits and zeros"),
    pytest.param("ＡＢ１２", "ab12", "case", id="full-width letters and case"),
    pytest.param("١٢", "12", "leading zeros, case or characters", id="Arabic-Indic digits"),
    pytest.param(
        "Mu\N{LATIN SMALL LETTER E WITH ACUTE}1", "Mue\N{COMBINING ACUTE ACCENT}1", "character set", id="accent"
    ),
    pytest.param("12^^^HOSP&1.2&ISO", "12", None, id="with its issuer, as HL7 writes it"),
]


@pytest.mark.parametrize(("one", "other", "how"), ONE_ID)
@pytest.mark.parametrize("tolerance", SameId)
def test_spellings_of_one_id(one: str, other: str, how: str | None, tolerance: SameId) -> None:
    """Both ways round: matched and said when the birth dates agree, unless the site is exact."""
    assert same_form(one, other)
    for a, b in ((one, other), (other, one)):
        found = compare_identity(Patient(a, birth_date=BORN), Patient(b, birth_date=BORN), tolerance)
        if how is None:
            assert found.mismatch is None
        elif tolerance is SameId.EXACT:
            assert found.mismatch == f"the patient ID is written differently ({how})"
        else:
            assert found.mismatch is None
            assert f"written differently ({how})" in found.said[0]
        assert compare_identity(
            Patient(a, birth_date=BORN), Patient(b, birth_date=date(1970, 1, 1)), tolerance
        ).mismatch


OTHER_IDS = [
    pytest.param("12", "13", id="another number"),
    pytest.param("12", "120", id="a trailing zero counts"),
    pytest.param("1-2", "12", id="a hyphen counts"),
    pytest.param("A12", "12", id="a prefix counts"),
    pytest.param("А12", "A12", id="a Cyrillic letter that looks the same"),
    pytest.param("0", "", id="zero and nothing"),
    pytest.param("\N{ZERO WIDTH SPACE}", " ", id="nothing visible is nobody's ID"),
]


@pytest.mark.parametrize(("one", "other"), OTHER_IDS)
@pytest.mark.parametrize("tolerance", SameId)
def test_other_ids_stay_apart(one: str, other: str, tolerance: SameId) -> None:
    assert not same_form(one, other)
    found = compare_identity(Patient(one, birth_date=BORN), Patient(other, birth_date=BORN), tolerance)
    assert found.mismatch == "another patient ID"


CONFIRMED = [
    pytest.param(Patient("12", "", BORN, "F"), Patient("012", "", BORN, "F"), None, id="birth date and sex agree"),
    pytest.param(Patient("12", "", BORN), Patient("012", "", BORN, "F"), None, id="sex is stated once"),
    pytest.param(Patient("12", "", BORN), Patient("012"), "no birth date confirms it", id="no birth date: kept apart"),
    pytest.param(Patient("12"), Patient("012"), "no birth date confirms it", id="not measured: neither states it"),
    pytest.param(Patient("12", "", BORN, "F"), Patient("012", "", BORN, "M"), "another sex", id="another sex"),
    pytest.param(Patient("12", "A", BORN), Patient("012", "B", BORN), "another issuer", id="another issuer"),
    pytest.param(Patient("12", "A", BORN), Patient("012", "a ", BORN), None, id="the issuer in another spelling"),
    pytest.param(Patient("12", "A", BORN), Patient("012", "", BORN), None, id="the issuer is stated once"),
    pytest.param(
        Patient("12^^^A", "", BORN), Patient("012", "B", BORN), "another issuer", id="an issuer inside the ID counts"
    ),
    pytest.param(
        Patient("1\N{REPLACEMENT CHARACTER}2"),
        Patient("1\N{REPLACEMENT CHARACTER}2"),
        "cannot be decoded",
        id="what could not be decoded is not the same without a birth date",
    ),
]


@pytest.mark.parametrize(("one", "other", "why"), CONFIRMED)
def test_what_confirms_another_spelling(one: Patient, other: Patient, why: str | None) -> None:
    for a, b in ((one, other), (other, one)):
        found = compare_identity(a, b)
        assert found.mismatch is None if why is None else why in (found.mismatch or "")


def test_an_issuer_on_one_side_is_matched_and_said() -> None:
    assert compare_identity(Patient("12"), Patient("12")).said == (), "noop"
    assert "issuer of the patient ID is missing" in compare_identity(Patient("12", "A"), Patient("12")).said[0]


def test_a_tolerant_site_needs_no_birth_date() -> None:
    assert compare_identity(Patient("12"), Patient("012"), SameId.FORM).mismatch is None
    assert compare_identity(Patient("12", "", BORN), Patient("012", "", date(1970, 1, 1)), SameId.FORM).mismatch


def test_no_sentence_states_an_identity() -> None:
    one, other = Patient("0047110815", "A", BORN, "F"), Patient("47110815", "", BORN, "F")
    for tolerance in SameId:
        found = compare_identity(one, other, tolerance)
        assert "47110815" not in str(found)
        assert "1961" not in str(found)


MISREAD = [
    pytest.param("0012", "0012", id="noop: ASCII"),
    pytest.param("Müller1", "Müller1", id="noop: Latin-1 read as such"),
    pytest.param("Иван1", "Иван1", id="noop: Cyrillic read as such"),
    pytest.param("$100", "$100", id="noop: a dollar sign"),
    pytest.param(FULL_WIDTH.encode().decode("latin-1"), FULL_WIDTH, id="UTF-8 read as Latin-1"),
    pytest.param(FULL_WIDTH.encode().decode("iso8859_5"), FULL_WIDTH, id="UTF-8 read as ISO_IR 144"),
    pytest.param("Müller1".encode().decode("latin-1"), "Müller1", id="UTF-8 umlaut read as Latin-1"),
    pytest.param(FULL_WIDTH.encode("gb18030").decode("latin-1"), FULL_WIDTH, id="GB18030 read as Latin-1"),
    pytest.param(FULL_WIDTH.encode("gb18030").decode("iso8859_5"), FULL_WIDTH, id="GB18030 read as ISO_IR 144"),
    pytest.param(FULL_WIDTH.encode("iso2022_jp").decode("ascii"), "0012A", id="ISO 2022 IR 87 not interpreted"),
    pytest.param("\x1b$)C" + FULL_WIDTH.encode("euc_kr").decode("latin-1"), FULL_WIDTH, id="ISO 2022 IR 149"),
    pytest.param("\x1b$)A" + FULL_WIDTH.encode("gb2312").decode("latin-1"), FULL_WIDTH, id="ISO 2022 IR 58"),
]


@pytest.mark.parametrize(("misread", "meant"), MISREAD)
def test_a_wrong_character_set_makes_no_other_patient(misread: str, meant: str) -> None:
    assert repaired(misread) == meant
    assert id_form(misread) == id_form(meant)


def test_one_person_has_one_birth_date() -> None:
    assert one_person([])
    assert one_person([Patient("12", "", BORN), Patient("012"), Patient("12", "A")])
    assert not one_person([Patient("12", "", BORN), Patient("012"), Patient("12", "", date(1970, 1, 1))])


TEXT = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]), max_size=12)


@given(TEXT, TEXT)
def test_no_side_counts_more_and_no_setting_finds_less(one: str, other: str) -> None:
    assert (
        compare_identity(Patient(one), Patient(other)).mismatch
        == compare_identity(Patient(other), Patient(one)).mismatch
    )
    if compare_identity(Patient(one), Patient(other), SameId.EXACT).mismatch is None and id_form(one):
        assert compare_identity(Patient(one), Patient(other), SameId.FORM).mismatch is None


@pytest.mark.parametrize("patient_id", ["ANON", "anonymous ", "Unknown", "0", "000", "n/a", "ＡＮＯＮ"])
@pytest.mark.parametrize(
    ("born", "tolerance", "one"),
    [
        pytest.param((None, None), SameId.CONFIRMED, False, id="nothing confirms"),
        pytest.param((BORN, None), SameId.CONFIRMED, False, id="one birth date"),
        pytest.param((BORN, BORN), SameId.CONFIRMED, True, id="the birth dates agree"),
        pytest.param((BORN, BORN), SameId.EXACT, True, id="the birth dates agree, an exact site"),
        pytest.param((None, None), SameId.EXACT, False, id="nothing confirms, an exact site"),
        pytest.param((None, None), SameId.FORM, True, id="a tolerant site"),
    ],
)
def test_a_placeholder_is_everybodys(
    patient_id: str, born: tuple[date | None, date | None], tolerance: SameId, one: bool
) -> None:
    some = [Patient(patient_id, birth_date=day) for day in born]
    found = compare_identity(*some, tolerance).mismatch
    assert found == (None if one else "the patient ID is a placeholder, and no birth date confirms it")


@pytest.mark.parametrize("patient_id", ["ANON1", "P0", "10", "NA12", "SUB-ANON"])
def test_noop_an_id_that_holds_such_a_word(patient_id: str) -> None:
    assert compare_identity(Patient(patient_id), Patient(patient_id)).mismatch is None


STATED = [Patient("1", birth_date=born, sex=sex) for born in (None, BORN, date(1970, 1, 1)) for sex in ("", "F", "M")]


@pytest.mark.parametrize("number", range(5))
def test_whether_an_id_is_of_two_people(number: int) -> None:
    for some in combinations(STATED, number):
        found = OfOneId(some)
        pairs = [(a, b) for a, b in combinations(some, 2) if compare_identity(a, b).mismatch is not None]
        assert found.is_of_two is bool(pairs)
        for one in STATED:
            agrees = [[compare_identity(one, other).mismatch is None for other in pair] for pair in pairs]
            assert found.may_be_either(one) is any(map(all, agrees)), (some, one)


def test_noop_what_tells_nobody_apart() -> None:
    assert not OfOneId([Patient("1", birth_date=BORN, sex="O"), Patient("1", sex="M")]).is_of_two
    assert not OfOneId([Patient("1", "H"), Patient("1", "O")]).is_of_two, "issuers are compared elsewhere"


def test_thousands_of_people_under_one_id_keep_nobody_waiting() -> None:
    some = [Patient("1", birth_date=BORN + timedelta(days=n)) for n in range(5000)]

    def asked() -> list[bool]:
        found = OfOneId(some)
        return [found.may_be_either(one) for one in [Patient("1"), *some, Patient("1", birth_date=BORN)]]

    first, *others = within(2_000_000, asked)  # pairs of them are 12 millions
    assert (first, any(others)) == (True, False)
