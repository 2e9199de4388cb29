"""A code and a text of an order or a procedure in, whether they name a cell infusion out. Pure.

The name of a product is in many orders that give nothing: collection of the cells, tests for the transgene, visits.
So a text that is not that of a drug must also say that something is given, or be nothing but the name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Naming(StrEnum):
    """What a text with the name of a product says.

    INFUSION: the product is given. OTHER: something else. UNCLEAR: a human must say which.
    """

    INFUSION = "infusion"
    OTHER = "other"
    UNCLEAR = "unclear"


@dataclass(frozen=True)
class NamedService:
    """A service that has the name of a product in it, and its text."""

    naming: Naming
    text: str


# An order of images often says why: "MR brain, day 9 of CAR-T". It is no infusion, whatever words it has.
IMAGING = re.compile(r"\b(MRI?|MRT|CT|PET|EEG|US|X-?ray|scan|imaging|radiolog\w*|follow(?:[-\s]?up)?)\b", re.IGNORECASE)
TESTS_AND_VISITS = re.compile(
    r"\b(PCR|assays?|transgene|levels?|titers?|antibod\w*|panels?|tests?|testing|counts?|kinetics|pharmacokinetic\w*"
    r"|samples?|specimens?|blood|serum|plasma|CSF|biops\w*|Labor|Entnahme|\w*apheres\w*|collection|harvest"
    r"|visits?|clinic|consult\w*|consent|education|teaching|evaluat\w*|assess\w*|screen\w*|monitor\w*|referral"
    r"|Sprechstunde|Ambulanz|Kontrolle|Nachsorge|Vorstellung|Aufkl\w*rung"
    r"|(?:day|tag|jour|d)\s*\+?\s*0*[1-9]\d*|0*[1-9]\d*\s*(?:days?|tage?))\b",
    re.IGNORECASE,
)
BEFORE_THE_CELLS = re.compile(r"\b(pre-?medication|prophyla\w*|lympho-?depletion|conditioning)\b", re.IGNORECASE)
# what another thing is related to, up to the next mark: "paracetamol, 30 min before axicabtagene"
RELATED = re.compile(
    r"\b(?:after|post|following|since|before|prior\s+to|pre|for|during|because\s+of|due\s+to|s/p|nach|vor|für|wegen"
    r"|après|avant|pour)\b[^,;:().]*",
    re.IGNORECASE,
)
GIVING = re.compile(r"infus|infund|transfus|administ|verabreich|\bgive[ns]?\b|\bgabe\b", re.IGNORECASE)
DENIED = re.compile(
    r"\b(not|never|cancel\w*|declin\w*|refus\w*|withheld|held|hold|postpon\w*|nicht|stornier\w*|abgesagt|verschoben)\b",
    re.IGNORECASE,
)
LETTERS = re.compile(r"[^\W\d_]+")
OF_A_PRODUCT = frozenset(
    {"ciloleucel", "maraleucel", "autoleucel", "leucel", "cell", "cells", "dispersion", "suspension", "iv", "ml", "bag"}
)
"""What may stand beside the name of a product without saying anything else."""


@dataclass(frozen=True)
class InfusionWords:
    """How a site's orders name a cell infusion: exact codes, and words of the text (any case)."""

    codes: tuple[str, ...] = ()
    words: tuple[str, ...] = ()

    def named_in(self, coded: Sequence[str], *, drug: bool = False) -> NamedService | None:
        """What a coded element (code, text, system, ...) says about an infusion; None: nothing.

        Args:
            drug: the element names what is given (RXE-2 and the like), not a service.
        """
        code, text = (coded[0] if coded else ""), " ".join(coded[1:2])
        if code and code in self.codes:
            return NamedService(Naming.INFUSION, text or code)
        said = text if self._in(text) else f"{code} {text}".strip()
        if not self._in(said):
            return None
        return NamedService(self._drug(said) if drug else self._service(said), text or code)

    def is_only_a_name(self, text: str) -> bool:
        """Whether the text is the name of a product and nothing else."""
        for word in self.words:
            text = re.sub(re.escape(word), " ", text, flags=re.IGNORECASE)
        return all(one.casefold() in OF_A_PRODUCT for one in LETTERS.findall(text))

    def _in(self, text: str) -> bool:
        return any(word.casefold() in text.casefold() for word in self.words)

    def _drug(self, text: str) -> Naming:
        rest = RELATED.sub("", text)
        if not self._in(rest):
            return Naming.OTHER
        return Naming.UNCLEAR if DENIED.search(text) or BEFORE_THE_CELLS.search(rest) else Naming.INFUSION

    def _service(self, text: str) -> Naming:
        rest = RELATED.sub("", text)
        if IMAGING.search(text) or not self._in(rest):
            return Naming.OTHER
        gives = GIVING.search(rest) is not None
        if TESTS_AND_VISITS.search(text):
            return Naming.UNCLEAR if gives else Naming.OTHER
        certain = not DENIED.search(text) and (gives or self.is_only_a_name(rest))
        return Naming.INFUSION if certain else Naming.UNCLEAR


def is_another_service(text: str) -> bool:
    """Whether a text that names no product is one of images, a test or a visit."""
    return any(kind.search(text) for kind in (IMAGING, TESTS_AND_VISITS, BEFORE_THE_CELLS))
