"""Facts about patients -> durable files -> the same facts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.files.facts import FactFolder, KeptFact

INFUSION = KeptFact("infusion", ("P1", "HOSPITAL", "2026-05-04"), {"kind": "axi-cel", "source": "HL7"})


@pytest.mark.parametrize(
    ("written", "read"),
    [
        pytest.param([], [], id="noop: nothing was said"),
        pytest.param([INFUSION], [INFUSION], id="one"),
        pytest.param([INFUSION, INFUSION], [INFUSION], id="said twice"),
        pytest.param(
            [INFUSION, KeptFact("infusion", INFUSION.key, {"kind": "x"})],
            [KeptFact("infusion", INFUSION.key, {"kind": "x"})],
            id="the later word",
        ),
        pytest.param(
            [INFUSION, KeptFact("infusion", INFUSION.key, {}, withdrawn=True)],
            [KeptFact("infusion", INFUSION.key, {}, withdrawn=True)],
            id="withdrawn",
        ),
        pytest.param([KeptFact("identity", INFUSION.key, {})], [], id="of another kind"),
    ],
)
def test_what_is_written_is_read(tmp_path: Path, written: list[KeptFact], read: list[KeptFact]) -> None:
    for fact in written:
        FactFolder(tmp_path).put(fact)
    assert list(FactFolder(tmp_path).all("infusion")) == read
    assert FactFolder(tmp_path).get("infusion", INFUSION.key) == (read[0] if read else None)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 2}', '{"format": 1, "kind": "infusion"}'])
def test_a_damaged_file_costs_only_itself(tmp_path: Path, content: str) -> None:
    folder = FactFolder(tmp_path)
    folder.put(INFUSION)
    damaged = tmp_path / "facts" / "infusion-0000.json"
    damaged.write_text(content, encoding="utf-8")
    assert list(folder.all("infusion")) == [INFUSION]


def test_a_file_that_cannot_be_read_now_costs_only_itself_and_is_no_missing_fact(tmp_path: Path) -> None:
    folder = FactFolder(tmp_path)
    folder.put(INFUSION)
    unread = tmp_path / "facts" / "infusion-0000.json"
    unread.mkdir()
    assert list(folder.all("infusion")) == [INFUSION]
    assert folder.unread == {unread.name}
    unread.rmdir()
    assert list(folder.all("infusion")) == [INFUSION]
    assert folder.unread == {unread.name}, "it was not looked at again"


@pytest.mark.parametrize("there", [False, True], ids=["noop: there is none", "it cannot be read"])
def test_a_folder_that_cannot_be_read_is_no_empty_one(tmp_path: Path, *, there: bool) -> None:
    if there:
        (tmp_path / "facts").write_text("", encoding="ascii")
        with pytest.raises(OSError, match="directory"):
            list(FactFolder(tmp_path).all("infusion"))
    else:
        assert list(FactFolder(tmp_path).all("infusion")) == []


def test_a_full_disk_leaves_what_was_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = FactFolder(tmp_path)
    folder.put(INFUSION)

    def full(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="space"):
            folder.put(KeptFact("infusion", INFUSION.key, {"kind": "other"}))
    assert list(folder.all("infusion")) == [INFUSION]
    assert len(list((tmp_path / "facts").iterdir())) == 1


def test_a_kind_never_leaves_the_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="kind"):
        FactFolder(tmp_path).put(KeptFact("../x", ("a",), {}))


@given(key=st.tuples(st.text(), st.text()), value=st.dictionaries(st.text(), st.none() | st.text() | st.integers()))
def test_any_text_comes_back(
    tmp_path_factory: pytest.TempPathFactory, key: tuple[str, str], value: dict[str, str]
) -> None:
    folder = FactFolder(tmp_path_factory.mktemp("facts"))
    folder.put(KeptFact("infusion", key, value))
    assert folder.get("infusion", key) == KeptFact("infusion", key, value)
