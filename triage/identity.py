"""Who is the same patient: the one comparison of patient IDs, issuers, birth dates and sexes. Pure.

Systems write one ID in several ways: with or without leading zeros, in lower case, in full-width digits of East Asian
character sets, with blanks or a NUL behind it. Such spellings have one form (``id_form``). A form alone is no identity:
``0012`` and ``12`` may be two people, so that by default the birth date must confirm it. A placeholder (``ANON``,
``0``) is everybody's: the birth date must confirm it, too.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Protocol


class SameId(StrEnum):
    """When two spellings with one form count as one patient ID.

    EXACT: never. CONFIRMED: when both birth dates are stated and agree. FORM: when nothing contradicts.
    """

    EXACT = "exact"
    CONFIRMED = "confirmed"
    FORM = "form"


class Identified(Protocol):
    """What is compared. Empty or None: not stated."""

    @property
    def patient_id(self) -> str: ...
    @property
    def issuer(self) -> str: ...
    @property
    def birth_date(self) -> date | None: ...
    @property
    def sex(self) -> str: ...


@dataclass(frozen=True)
class IdentityMatch:
    """mismatch: why they are not the same person; None: they are. said: what a reader is told about a match that is
    not plain. Neither states an identity."""

    mismatch: str | None
    said: tuple[str, ...] = ()


PLACEHOLDERS = frozenset((
    "0", "-", "--", "---", "?", "anon", "anonym", "anonymised", "anonymized", "anonymous", "deidentified", "n/a", "na",
    "nil", "none", "null", "removed", "unbekannt", "unknown", "xxx", "xxxx", "xxxxx",
))  # fmt: skip
"""Forms of what anonymisers and emergency admissions write in place of a patient ID."""
LOST = "\N{REPLACEMENT CHARACTER}"  # a byte that could not be decoded: two IDs with it may have been different ones
_INVISIBLE = ("Cc", "Cf", "Cs", "Zs", "Zl", "Zp")  # Unicode general categories
_PADDING = re.compile(r"(?<![0-9])0+(?=[0-9])")
# full-width digits and letters are row 3 of JIS X 0208, KS X 1001 and GB 2312: two 7-bit bytes, the first is "#",
# between escape sequences (ISO/IEC 2022), or the same with the eighth bit set
_ROW_3 = re.compile(r"\x1b?\$(?:\(?[BA@C])((?:#[0-9A-Za-z])+)(?:\x1b?\([BJ])?")
_DESIGNATED = re.compile(r"\x1b?\$\)[AC]|\x1b\([BJ]")
_ROW_3_HIGH = re.compile(rb"(?:[\x20-\x7e]|\xa3[\xb0-\xb9\xc1-\xda\xe1-\xfa])+")
_SINGLE_BYTE = ("latin-1", "iso8859_2", "iso8859_5", "iso8859_7", "iso8859_9")  # wrong guesses that lose no byte


def compare_identity(one: Identified, other: Identified, tolerance: SameId = SameId.CONFIRMED) -> IdentityMatch:
    """Whether two studies may be compared."""
    (own, own_issuer), (their, their_issuer) = _parts(one), _parts(other)
    how = None if own == their and LOST not in own else id_difference(own, their)
    if own != their and (id_form(own) != id_form(their) or not id_form(own)):
        return IdentityMatch("another patient ID")
    if how is not None and tolerance is SameId.EXACT:
        return IdentityMatch(f"the patient ID is written differently ({how})")
    same = "same patient ID" if how is None else f"the patient ID is written differently ({how}),"
    why = _contradiction(one, other, (own_issuer, their_issuer), same)
    if why is not None:
        return IdentityMatch(why)
    confirmed = bool(one.birth_date and other.birth_date)
    if how is not None and tolerance is SameId.CONFIRMED and not confirmed:
        return IdentityMatch(f"the patient ID is written differently ({how}), and no birth date confirms it")
    if is_placeholder(own) and tolerance is not SameId.FORM and not confirmed:
        return IdentityMatch("the patient ID is a placeholder, and no birth date confirms it")
    said = []
    if how is not None:
        because = "the birth dates agree" if confirmed else "nothing contradicts it"
        said.append(f"the patient ID is written differently ({how}) in an earlier study: matched because {because}")
    if bool(own_issuer) != bool(their_issuer):
        said.append("the issuer of the patient ID is missing in one of two studies: matched because the rest agrees")
    return IdentityMatch(None, tuple(said))


def one_person(identities: Iterable[Identified]) -> bool:
    """Whether no two of them contradict each other, whatever the spelling of their ID."""
    some = list(identities)
    pairs = ((a, b) for at, a in enumerate(some) for b in some[at + 1 :])
    return all(_contradiction(a, b, (_parts(a)[1], _parts(b)[1]), "") is None for a, b in pairs)


def is_placeholder(patient_id: str) -> bool:
    """Whether the ID is what systems write when they state none: it means nobody."""
    return id_form(patient_id) in PLACEHOLDERS


class OfOneId:
    """What the studies under one patient ID state of birth date and sex. Each question costs the same, however many
    studies there are: thousands under one ID must keep nobody waiting."""

    def __init__(self, identities: Iterable[Identified]) -> None:
        self._births: dict[str, set[date]] = defaultdict(set)  # by the sex stated with them; "": none
        self._sexes: dict[date | None, set[str]] = defaultdict(set)  # by birth date
        for one in identities:
            if one.birth_date:
                self._births[stated_sex(one)].add(one.birth_date)
            if stated_sex(one):
                self._sexes[one.birth_date or None].add(stated_sex(one))
        births, sexes = (set[object]().union(*some.values()) for some in (self._births, self._sexes))
        self.is_of_two = len(births) > 1 or len(sexes) > 1
        """Whether two of them contradict each other, so that two people have the ID."""

    def may_be_either(self, one: Identified) -> bool:
        """Whether a study agrees with two that contradict each other."""
        birth, sex = one.birth_date or None, stated_sex(one)
        if birth and sex:
            return False
        if birth:
            return len(self._sexes.get(birth, set()) | self._sexes.get(None, set())) > 1
        if sex:
            return len(self._births.get(sex, set()) | self._births.get("", set())) > 1
        return self.is_of_two


def same_form(one: str, other: str) -> bool:
    """Whether two texts may be one patient ID. An empty one is nobody's."""
    return bool(id_form(one)) and id_form(one) == id_form(other)


def id_form(patient_id: str) -> str:
    """What all spellings of one patient ID have in common; empty for an empty one."""
    text = unicodedata.normalize("NFKC", repaired(patient_id)).partition("^")[0]
    seen = "".join(_ascii_digit(c) for c in text if unicodedata.category(c) not in _INVISIBLE)
    return _PADDING.sub("", seen.casefold())


def issuer_form(issuer: str) -> str:
    """As ``id_form``, for who issued an ID: zeros have a meaning there."""
    text = unicodedata.normalize("NFKC", repaired(issuer))
    return "".join(c for c in text if unicodedata.category(c) not in _INVISIBLE).casefold()


def id_difference(one: str, other: str) -> str:
    """In which way two spellings of one form differ, for a reader."""
    plain = [unicodedata.normalize("NFKC", repaired(text)) for text in (one, other)]
    if LOST in one + other:
        return "characters that cannot be decoded"
    if plain[0] == plain[1]:
        return "character set"
    bare = ["".join(c for c in text if unicodedata.category(c) not in _INVISIBLE) for text in plain]
    if bare[0] == bare[1]:
        return "blanks"
    if bare[0].casefold() == bare[1].casefold():
        return "case"
    zeros = [_PADDING.sub("", text) for text in bare]
    return "leading zeros" if zeros[0] == zeros[1] else "leading zeros, case or characters"


def repaired(text: str) -> str:
    """The text that was meant where a wrong or missing Specific Character Set (PS3.3 section C.12.1.1.2) was applied:
    UTF-8 read byte by byte, and full-width characters whose escape sequences were not interpreted."""
    if text.isascii() and "$" not in text and "\x1b" not in text:
        return text
    if found := _ROW_3.fullmatch(text):
        return found[1].replace("#", "")
    bare = _DESIGNATED.sub("", text)
    for codec in _SINGLE_BYTE:
        with suppress(UnicodeError):
            raw = bare.encode(codec)
            if not raw.isascii() and _ROW_3_HIGH.fullmatch(raw):
                return raw.decode("gb2312")
            if not raw.isascii():
                return raw.decode("utf-8")
    return text


def _parts(one: Identified) -> tuple[str, str]:
    """ID and issuer. Some systems write both into the ID, as HL7 does: ``12^^^HOSPITAL&1.2.3&ISO`` (CX)."""
    patient_id, _, rest = one.patient_id.partition("^")
    named = rest.split("^")[2].partition("&")[0] if rest.count("^") >= 2 else ""
    return patient_id.strip("\0 "), issuer_form(one.issuer or named)


def _contradiction(one: Identified, other: Identified, issuers: Sequence[str], same: str) -> str | None:
    if all(issuers) and issuers[0] != issuers[1]:
        return "another issuer of the patient ID"
    if one.birth_date and other.birth_date and one.birth_date != other.birth_date:
        return f"{same} but another birth date"
    if stated_sex(one) and stated_sex(other) and stated_sex(one) != stated_sex(other):
        return f"{same} but another sex"
    return None


def stated_sex(identity: Identified) -> str:
    """M or F. O (other) and anything else count as unknown: sites use them for "not recorded"."""
    stated = identity.sex.strip().upper()
    return stated if stated in ("M", "F") else ""


def _ascii_digit(character: str) -> str:
    """Decimal digits of every script as ASCII."""
    return str(unicodedata.decimal(character)) if character.isdecimal() else character
