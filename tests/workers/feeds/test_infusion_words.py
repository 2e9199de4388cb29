"""Texts of orders in, whether they name a cell infusion out."""

from __future__ import annotations

import pytest

from workers.feeds.infusion_words import InfusionWords, Naming

WORDS = InfusionWords(codes=("CART1",), words=("CAR-T", "axicabtagene", "tisagenlecleucel", "lisocabtagene"))
INFUSION, OTHER, UNCLEAR = Naming.INFUSION, Naming.OTHER, Naming.UNCLEAR


@pytest.mark.parametrize(
    ("text", "service", "drug"),
    [
        pytest.param("", None, None, id="not measured: no text"),
        pytest.param("Brain MRI", None, None, id="noop: no product"),
        pytest.param("axicabtagene ciloleucel", INFUSION, INFUSION, id="the name alone"),
        pytest.param("Lisocabtagene maraleucel, suspension 70 mL iv", INFUSION, INFUSION, id="the name and its form"),
        pytest.param("CAR-T infusion", INFUSION, INFUSION, id="infusion"),
        pytest.param("Administration of axicabtagene", INFUSION, INFUSION, id="administration"),
        pytest.param("Verabreichung von tisagenlecleucel", INFUSION, INFUSION, id="in German"),
        pytest.param("CAR-T infusion day 0", INFUSION, INFUSION, id="the day of infusion"),
        pytest.param("axicabtagene ciloleucel, infuse 30 min after premedication", INFUSION, INFUSION, id="after"),
        pytest.param("tisagenlecleucel (day 0, post lymphodepletion)", UNCLEAR, INFUSION, id="post"),
        pytest.param("CAR-T infusion (post lymphodepletion)", INFUSION, INFUSION, id="post, and it is given"),
        pytest.param("MR brain, day 9 after axicabtagene infusion", OTHER, OTHER, id="imaging"),
        pytest.param("Axicabtagene ciloleucel transgene, quantitative PCR, blood", OTHER, INFUSION, id="a test"),
        pytest.param("Leukapheresis for tisagenlecleucel", OTHER, OTHER, id="collection of the cells"),
        pytest.param("Lisocabtagene clinic visit day 14", OTHER, INFUSION, id="a visit"),
        pytest.param("axicabtagene post-infusion PCR", OTHER, INFUSION, id="what comes after the infusion"),
        pytest.param("tocilizumab for CRS after axicabtagene", OTHER, OTHER, id="another drug, because of it"),
        pytest.param("paracetamol 30 min before axicabtagene infusion", OTHER, OTHER, id="another drug, before it"),
        pytest.param("CAR-T premedication", UNCLEAR, UNCLEAR, id="premedication"),
        pytest.param("CAR-T infusion clinic", UNCLEAR, INFUSION, id="where it is given, or a visit"),
        pytest.param("CAR-T infusion day 7", UNCLEAR, INFUSION, id="another day of the course"),
        pytest.param("CAR-T infusion NOT GIVEN", UNCLEAR, UNCLEAR, id="not given"),
        pytest.param("axicabtagene infusion - cancelled", UNCLEAR, UNCLEAR, id="cancelled in words"),
        pytest.param("CAR-T programme", UNCLEAR, INFUSION, id="it says nothing of what is done"),
    ],
)
def test_what_a_text_names(text: str, service: Naming | None, drug: Naming | None) -> None:
    found = [WORDS.named_in(("X1", text), drug=drug) for drug in (False, True)]
    assert [None if one is None else one.naming for one in found] == [service, drug]


@pytest.mark.parametrize(
    ("coded", "naming"),
    [
        pytest.param((), None, id="not measured: empty"),
        pytest.param(("CART1",), INFUSION, id="a code"),
        pytest.param(("CART1", "MR brain after CAR-T"), INFUSION, id="a code counts before the text"),
        pytest.param(("CART10", "x"), None, id="another code"),
        pytest.param(("AXICABTAGENE",), INFUSION, id="a code that is the name"),
        pytest.param(("AXICABTAGENE", "CAR T-cell infusion"), INFUSION, id="the name in the code, the text gives it"),
    ],
)
def test_what_a_code_names(coded: tuple[str, ...], naming: Naming | None) -> None:
    found = WORDS.named_in(coded)
    assert (None if found is None else found.naming) is naming
