"""Prepared baselines in folders: found again, prepared anew, or taken over from an earlier version."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import FakeEngine, an_instance, some_images
from tests.workers.studies.deciding import STUDY, Node
from triage.errors import NotAssessable
from triage.settings import TriageSettings
from workers.identities import GivenAnswer, ObjectAnswer
from workers.ports import StudyRow
from workers.studies.engine import preparation_key
from workers.studies.prepared_baselines import REFUSAL_FORM

# by triage.preparation: whole sections, and one key of another
READ = {"threads", "regions", "burden", "atrophy"}
KEY_READ = "single_scan.youngest_years"
SETTINGS = TriageSettings()


def each_changed(value: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting once: its name, and the same settings with this one changed."""
    for field in dataclasses.fields(value):
        old, name = getattr(value, field.name), f"{where}{field.name}"
        if dataclasses.is_dataclass(old):
            for inner, changed in each_changed(old, f"{name}."):
                yield inner, dataclasses.replace(value, **{field.name: changed})
        elif isinstance(old, bool):
            yield name, dataclasses.replace(value, **{field.name: not old})
        elif isinstance(old, (int, float)):
            yield name, dataclasses.replace(value, **{field.name: old + 1})
        elif isinstance(old, tuple):
            yield name, dataclasses.replace(value, **{field.name: old[:-1]})
        else:
            yield name, dataclasses.replace(value, **{field.name: f"{old} changed"})


def key(settings: TriageSettings, *, atlas: str = "atlas1", program: str = "0.1.0") -> str:
    return preparation_key(atlas, program, settings.preparation)


CHANGES = dict(each_changed(SETTINGS))


@pytest.mark.parametrize("name", CHANGES)
def test_the_key_changes_with_what_the_preparation_reads_and_with_nothing_else(name: str) -> None:
    reads = name == KEY_READ or name.split(".", maxsplit=1)[0] in READ
    assert (key(CHANGES[name]) != key(SETTINGS)) is reads


def test_the_settings_of_the_preparation_are_those_of_the_sections_of_the_same_name() -> None:
    part = SETTINGS.preparation
    assert {field.name for field in dataclasses.fields(part)} == READ | {"youngest_years"}
    assert all(getattr(part, name) is getattr(SETTINGS, name) for name in READ)
    assert part.youngest_years == SETTINGS.single_scan.youngest_years


@pytest.mark.parametrize("changed", [{"atlas": "atlas2"}, {"program": "0.2.0"}])
def test_the_key_changes_with_atlas_and_program(changed: dict[str, str]) -> None:
    assert key(SETTINGS, **changed) != key(SETTINGS)


def a_node(folder: Path, settings: TriageSettings = SETTINGS) -> Node:
    engine = FakeEngine(preparation_key=key(settings))
    return Node(folder, some_images(STUDY, day=date(2026, 2, 20)), engine=engine)


def row_of(node: Node) -> StudyRow:
    row = node.index.study(STUDY)
    assert row is not None
    return row


def kept(folder: Path) -> set[str]:
    return {path.name for path in (folder / STUDY).iterdir()}


def test_a_changed_limit_of_a_pattern_finds_the_prepared_folder_again(tmp_path: Path) -> None:
    before = a_node(tmp_path)
    before.baselines.prepared(row_of(before))
    folders = kept(tmp_path)
    limits = next(name for name in CHANGES if name.startswith("bithalamic."))

    after = a_node(tmp_path, CHANGES[limits])
    assert after.baselines.prepared(row_of(after)) == f"prepared {STUDY}"
    assert after.done("prepare") == []
    assert kept(tmp_path) == folders


def test_a_changed_setting_of_the_preparation_prepares_again_and_drops_the_older_folder(tmp_path: Path) -> None:
    before = a_node(tmp_path)
    before.baselines.prepared(row_of(before))
    folders = kept(tmp_path)

    after = a_node(tmp_path, CHANGES["burden.lesion_z"])
    after.baselines.prepared(row_of(after))
    assert after.done("prepare") == [STUDY]
    assert len(kept(tmp_path)) == 1
    assert not kept(tmp_path) & folders


class TestEarlierProgram:
    """Folders of earlier versions of the program."""

    FIRST, OWN = f"test-test-{'0' * 12}-r1", f"{key(SETTINGS)}-r1"

    @pytest.mark.parametrize("older", [FIRST, OWN.replace("-f", "-f0")], ids=["the first key", "another form"])
    def test_what_they_prepared_otherwise_is_prepared_anew(self, tmp_path: Path, older: str) -> None:
        node = a_node(tmp_path)
        node.storage.save(tmp_path / STUDY / older, "prepared before")
        assert node.baselines.prepared(row_of(node)) == f"prepared {STUDY}"
        assert kept(tmp_path) == {self.OWN}

    def test_a_refusal_of_an_earlier_program_is_looked_at_again(self, tmp_path: Path) -> None:
        """It may have been a fault of the store."""
        node = a_node(tmp_path)
        (tmp_path / STUDY / self.OWN).mkdir(parents=True)
        (tmp_path / STUDY / self.OWN / "refused.txt").write_text("no_images\nnone is readable", encoding="utf-8")
        assert node.baselines.refusal(row_of(node)) is None
        assert node.baselines.prepared(row_of(node)) == f"prepared {STUDY}"

    def test_a_refusal_is_remembered(self, tmp_path: Path) -> None:
        node = a_node(tmp_path)
        (tmp_path / STUDY / self.OWN).mkdir(parents=True)
        (tmp_path / STUDY / self.OWN / "refused.txt").write_text(
            f"{REFUSAL_FORM}\nmotion\ntoo much motion", encoding="utf-8"
        )
        assert node.baselines.refusal(row_of(node)) == ("motion", "too much motion")
        with pytest.raises(NotAssessable, match="too much motion"):
            node.baselines.prepared(row_of(node))
        assert node.done("prepare") == []


def write_files(node: Node, content: bytes) -> None:
    for row in node.index.instances(STUDY):
        path = node.files.path(row)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def reject_one(node: Node) -> None:
    """By a rejection note: the revision stays."""
    given = GivenAnswer(ObjectAnswer.REJECTED, "PACS1: Rejected for Quality Reasons", node.clock.now())
    node.index.answer_objects(STUDY, {f"{STUDY}.1.2": given}, now=node.clock.now(), again=False)


SINCE = [
    pytest.param(lambda _: None, False, id="nothing"),
    pytest.param(lambda node: write_files(node, b"repaired"), True, id="a repaired file"),
    pytest.param(reject_one, True, id="a rejected object"),
]


class TestTheSameRevision:
    """What happened since it was prepared or refused, without a new revision."""

    @pytest.fixture
    def node(self, tmp_path: Path) -> Node:
        node = a_node(tmp_path / "prepared")
        node.files.root = tmp_path / "files"
        node.index.record_instances([an_instance(STUDY, 2)])
        write_files(node, b"slice")
        return node

    @pytest.mark.parametrize(("happens", "again"), SINCE)
    def test_is_prepared_again(self, node: Node, happens: Callable[[Node], None], again: bool) -> None:
        node.baselines.prepared(row_of(node))
        happens(node)
        assert node.baselines.prepared(row_of(node)) == f"prepared {STUDY}"
        assert node.done("prepare") == [STUDY] * (2 if again else 1)

    @pytest.mark.parametrize(("happens", "again"), SINCE)
    def test_is_looked_at_again(self, node: Node, happens: Callable[[Node], None], again: bool) -> None:
        node.engine.unfit_baselines = {STUDY}
        with pytest.raises(NotAssessable):
            node.baselines.prepared(row_of(node))
        happens(node)
        assert (node.baselines.refusal(row_of(node)) is None) is again
        with pytest.raises(NotAssessable):
            node.baselines.prepared(row_of(node))
        assert node.done("prepare") == [STUDY] * (2 if again else 1)

    @pytest.mark.parametrize(("happens", "again"), [SINCE[0], SINCE[2]])
    def test_what_an_earlier_program_prepared(
        self, node: Node, tmp_path: Path, happens: Callable[[Node], None], again: bool
    ) -> None:
        node.storage.save(
            tmp_path / "prepared" / STUDY / f"{key(SETTINGS)}-r{row_of(node).revision}", "prepared before"
        )
        happens(node)
        assert node.baselines.prepared(row_of(node)) == (f"prepared {STUDY}" if again else "prepared before")


class TestAnotherRevision:
    """A study that is assessed again has a new revision; what was prepared stays valid while its files do."""

    @pytest.fixture
    def node(self, tmp_path: Path) -> Node:
        node = a_node(tmp_path / "prepared")
        node.files.root = tmp_path / "files"
        write_files(node, b"slice")
        node.baselines.prepared(row_of(node))
        node.ring()
        assert node.index.requeue(STUDY, now=node.clock.now())
        assert row_of(node).revision == 2
        return node

    @pytest.mark.parametrize(
        ("content", "read_again"),
        [
            pytest.param(None, [], id="the same files"),
            pytest.param(b"repaired", [STUDY], id="a repaired file"),
        ],
    )
    def test_is_prepared_again_only_when_a_file_changed(
        self, node: Node, tmp_path: Path, content: bytes | None, read_again: list[str]
    ) -> None:
        if content is not None:
            write_files(node, content)
        before = len(node.done("prepare"))
        assert node.baselines.prepared(row_of(node)) == f"prepared {STUDY}"
        assert node.done("prepare")[before:] == read_again
        assert kept(tmp_path / "prepared") == {f"{key(SETTINGS)}-r2"}

    def test_is_prepared_again_when_another_image_came(self, node: Node) -> None:
        node.index.record_instances([an_instance(STUDY, 2)])
        write_files(node, b"slice")
        before = len(node.done("prepare"))
        node.baselines.prepared(row_of(node))
        assert node.done("prepare")[before:] == [STUDY]

    def test_other_settings_of_the_preparation_take_nothing_over(self, node: Node) -> None:
        node.engine.preparation_key = key(CHANGES["burden.lesion_z"])
        before = len(node.done("prepare"))
        node.baselines.prepared(row_of(node))
        assert node.done("prepare")[before:] == [STUDY]

    def test_a_refusal_is_looked_at_again(self, tmp_path: Path) -> None:
        node = a_node(tmp_path / "prepared")
        node.files.root = tmp_path / "files"
        write_files(node, b"slice")
        node.engine.unfit_baselines = {STUDY}
        with pytest.raises(NotAssessable):
            node.baselines.prepared(row_of(node))
        node.index.requeue(STUDY, now=node.clock.now())
        node.engine.unfit_baselines = set()
        assert node.baselines.prepared(row_of(node)) == f"prepared {STUDY}"
