"""studies, show, replay, patients, config check: exit codes, pure JSON, messages that name the field."""

from __future__ import annotations

import fcntl
import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from tests.fakes import SUSPECTED, an_assessment, an_instance, some_images
from tests.listener.commands.cli_runner import Icansee
from triage.infusions import Infusion
from workers import config
from workers.announcements import Announcement, Source, Step
from workers.index.sql import open_index
from workers.ports import ConflictRow, PatientKey, StudyIndex, StudyState

UID = "1.2.3"
NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


def index_of(icansee: Icansee) -> StudyIndex:
    return open_index(config.load(icansee.folder / "config.yaml").index_url)


def receive(icansee: Icansee, *, decided: bool = True) -> StudyIndex:
    from triage.report.document import to_document

    index = index_of(icansee)
    index.record_instances([an_instance(UID)])
    index.mark_ready(UID, now=NOW, reason="test")
    if decided:
        claim = index.claim(UID, owner="w", now=NOW, lease_s=30)
        assert claim is not None
        document = to_document(an_assessment(some_images(UID).study, verdict=SUSPECTED))
        index.save_assessment(claim, stage="full", document=document, now=NOW)
        index.complete(claim, now=NOW)
    return index


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        pytest.param(["studies"], 2, "store.state_dir", id="no node ran here"),
        pytest.param(["show", UID], 2, "store.state_dir", id="show without a node"),
        pytest.param(["patients", "set", "P1"], 2, "--infusion-date", id="option missing"),
        pytest.param(["patients", "set", "P1", "--infusion-date", "3.4.2024"], 2, "--infusion-date", id="not a date"),
        pytest.param(["patients", "set", " ", "--infusion-date", "2024-03-04"], 2, "PATIENT_ID", id="empty patient"),
        pytest.param(["patients", "import", "absent.csv"], 2, "ROSTER.csv", id="no such roster"),
        pytest.param(["config", "check", "--config", "absent.yaml"], 2, "absent.yaml", id="no such settings"),
        pytest.param(["config", "check"], 0, "", id="noop: settings are right"),
        pytest.param(["nonsense"], 2, "nonsense", id="unknown command"),
    ],
)
def test_exit_codes(icansee: Icansee, arguments: list[str], code: int, says: str) -> None:
    answer = icansee(*arguments)
    assert answer.code == code
    assert says in answer.err
    assert not (icansee.folder / "state" / "index.db").exists(), "a wrong request leaves nothing behind"


def test_wrong_settings_are_named_with_what_is_accepted(icansee: Icansee) -> None:
    icansee.configure(listener={"prot": 1})
    answer = icansee("config", "check")
    assert answer.code == 2
    assert "listener.prot" in answer.err
    assert "port" in answer.err
    assert answer.out == ""


def test_without_settings_the_defaults_are_used_and_said(icansee: Icansee) -> None:
    (icansee.folder / "config.yaml").unlink()
    answer = icansee("config", "check")
    assert (answer.code, answer.out.strip()) == (0, "ok: defaults")
    assert "built-in defaults" in answer.err


class TestStudies:
    def test_json_is_pure(self, icansee: Icansee) -> None:
        receive(icansee)
        answer = icansee("studies", "--json")
        (entry,) = json.loads(answer.out)
        assert (entry["study_instance_uid"], entry["state"], entry["priority"]) == (UID, "assessed", "P1")

    def test_table(self, icansee: Icansee) -> None:
        receive(icansee)
        out = icansee("studies").out
        for word in ("2026-03-10", "P1", "assessed", "neurotoxicity_suspected", UID):
            assert word in out

    def test_noop_an_empty_node(self, icansee: Icansee) -> None:
        index_of(icansee)
        assert json.loads(icansee("studies", "--json").out) == []


class TestShow:
    def test_json_is_the_stored_document(self, icansee: Icansee) -> None:
        index = receive(icansee)
        assert json.loads(icansee("show", UID, "--json").out) == index.assessment(UID)

    def test_for_a_reader(self, icansee: Icansee) -> None:
        receive(icansee)
        answer = icansee("show", UID)
        assert answer.code == 0
        assert "neurotoxicity_suspected" in answer.out
        assert "because" in answer.out

    @pytest.mark.parametrize(
        ("uid", "says"),
        [pytest.param("9.9", "not stored", id="unknown"), pytest.param(UID, "no decision yet", id="not measured yet")],
    )
    def test_nothing_to_show(self, icansee: Icansee, uid: str, says: str) -> None:
        receive(icansee, decided=False)
        answer = icansee("show", uid, "--json")
        assert (answer.code, answer.out) == (2, "")
        assert "STUDY_UID" in answer.err
        assert says in answer.err


class TestReplay:
    def test_is_queued_also_without_a_running_node(self, icansee: Icansee) -> None:
        index = receive(icansee)
        assert icansee("replay", UID).code == 0
        row = index.study(UID)
        assert row is not None
        assert (row.state, row.revision, row.attempts) == (StudyState.READY, 2, 0)

    def test_noop_unknown_study(self, icansee: Icansee) -> None:
        receive(icansee)
        answer = icansee("replay", "9.9")
        assert answer.code == 2
        assert "STUDY_UID" in answer.err


class TestPatients:
    def roster(self, icansee: Icansee, text: str) -> str:
        path = icansee.folder / "roster.csv"
        path.write_bytes(text.encode("utf-8-sig"))
        return str(path)

    def test_set_and_list(self, icansee: Icansee) -> None:
        assert icansee("patients", "set", "P1", "--infusion-date", "2024-03-04").code == 0
        listed = json.loads(icansee("patients", "list", "--json").out)
        known = {"date": "2024-03-04", "kind": "CAR-T", "source": "command line"}
        assert listed == [{"patient_id": "P1", "infusion_date": "2024-03-04", "issuer": "", "infusions": [known]}]

    @pytest.mark.parametrize(
        ("days", "said", "known"),
        [
            pytest.param(["2024-03-04", "2024-03-04"], "was known", ["2024-03-04"], id="noop: the same again"),
            pytest.param(["2024-03-04", "2024-03-06"], "corrected to 2024-03-06", ["2024-03-06"], id="corrected"),
            pytest.param(
                ["2024-03-04", "2024-06-03"], "further infusion", ["2024-03-04", "2024-06-03"], id="a second infusion"
            ),
        ],
    )
    def test_a_second_date(self, icansee: Icansee, days: list[str], said: str, known: list[str]) -> None:
        answers = [icansee("patients", "set", "P1", "--infusion-date", day) for day in days]
        assert said in answers[-1].out
        [listed] = json.loads(icansee("patients", "list", "--json").out)
        assert [one["date"] for one in listed["infusions"]] == known
        assert listed["infusion_date"] == known[-1]

    def test_remove(self, icansee: Icansee) -> None:
        icansee("patients", "set", "P1", "--infusion-date", "2024-03-04", "--issuer", "CLINIC")
        wrong = icansee("patients", "remove", "P1", "--infusion-date", "2024-03-04", "--issuer", "OTHER")
        assert (wrong.code, "--infusion-date" in wrong.err) == (2, True), "of another issuer"
        assert icansee("patients", "remove", "P1", "--infusion-date", "2024-03-04", "--issuer", "CLINIC").code == 0
        assert json.loads(icansee("patients", "list", "--json").out) == []

    @pytest.mark.parametrize(
        "text",
        [
            pytest.param("patient_id,infusion_date\nP1,2024-03-04\nP2,2024-04-05\n", id="comma"),
            pytest.param(
                "patient_id;infusion_date;\r\nP1;2024-03-04;\r\n;;\r\nP2;2024-04-05;\r\n ; ;\r\n", id="empty rows"
            ),
            pytest.param("Patient_ID;Infusion_Date;ward\r\nP1;2024-03-04;A\r\nP2;2024-04-05;B\r\n", id="Excel"),
            pytest.param(
                "infusion_date,patient_id\n2024-03-04, P1\n2024-04-05,P2\n2024-03-04,P1\n", id="same line twice"
            ),
        ],
    )
    def test_import(self, icansee: Icansee, text: str) -> None:
        assert icansee("patients", "import", self.roster(icansee, text)).code == 0
        found = {patient.patient_id: [i.day for i in known] for patient, known in index_of(icansee).infusions().items()}
        assert found == {"P1": [date(2024, 3, 4)], "P2": [date(2024, 4, 5)]}

    def test_import_of_two_infusions(self, icansee: Icansee) -> None:
        text = "patient_id,infusion_date,issuer,kind\nP1,2024-03-04,CLINIC,\nP1,2024-06-03,CLINIC,retreatment\n"
        assert icansee("patients", "import", self.roster(icansee, text)).code == 0
        known = (Infusion(date(2024, 3, 4), source="roster"), Infusion(date(2024, 6, 3), "retreatment", "roster"))
        assert index_of(icansee).infusions() == {PatientKey("P1", "CLINIC"): known}

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            pytest.param(
                "patient_id,infusion_date\nP1,2024-03-04\nP2,tomorrow\n,2024-03-04\nP4,2024-02-30\n",
                ["line 3", "line 4", "line 5"],
                id="every wrong line is named",
            ),
            pytest.param("patient_id,infusion_date\nP1,2024-03-04\nP1,2024-03-05\n", ["line 3"], id="two dates"),
            pytest.param("patient,infusion_date\nP1,2024-03-04\n", ["patient_id"], id="column missing"),
            pytest.param("", ["patient_id", "infusion_date"], id="empty file"),
            pytest.param("patient_id,infusion_date\nP1\n", ["line 2"], id="short line"),
        ],
    )
    def test_a_wrong_roster_changes_nothing(self, icansee: Icansee, text: str, says: list[str]) -> None:
        answer = icansee("patients", "import", self.roster(icansee, text))
        assert answer.code == 2
        assert [word for word in says if word not in answer.err] == []
        assert index_of(icansee).infusions() == {}

    def test_check_tells_which_decisions_a_date_concerns(self, icansee: Icansee) -> None:
        receive(icansee)
        icansee("patients", "set", "P1", "--infusion-date", "2026-03-01")
        icansee("patients", "set", "P2", "--infusion-date", "2026-03-01")
        [found] = json.loads(icansee("patients", "check", "--dry-run", "--json").out)
        assert found["study_instance_uid"] == UID
        assert found["why"]


def test_a_bug_exits_1_without_the_message_that_may_quote_a_header(
    icansee: Icansee, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_path: Path) -> None:
        raise ZeroDivisionError("Doe^John")

    monkeypatch.setattr(config, "load", broken)
    answer = icansee("config", "check")
    assert answer.code == 1
    assert "ZeroDivisionError" in answer.err
    assert "Doe" not in answer.err


@pytest.mark.parametrize("command", [["studies"], ["show", UID]])
def test_says_what_is_missing_and_what_was_kept_aside(icansee: Icansee, command: list[str]) -> None:
    index = receive(icansee)
    index.put_announcement(Announcement(Source.MPPS, "1.9", UID, Step.COMPLETED, {f"{UID}.1": 40}), now=NOW)
    index.record_conflicts([ConflictRow("1.a.dcm", "1", "1.2", UID, NOW, "MR1")])
    answer = icansee(*command)
    assert answer.code == 0
    assert "1 of 40 announced images arrived" in answer.out
    assert "other content" in answer.out


@pytest.mark.parametrize("dry", [True, False])
def test_store_clean(icansee: Icansee, dry: bool) -> None:
    """The only study of its patient is old enough, and yet stays: its results were never written."""
    with (icansee.folder / "config.yaml").open("a", encoding="utf-8") as file:
        file.write("  retention_days: 1\n")
    receive(icansee)
    answer = icansee("store", "clean", "--json", *(["--dry-run"] if dry else []))
    assert answer.code == 0
    kept = [{"study_instance_uid": UID, "delete": False, "reason": "not_delivered", "bytes": None}]
    assert json.loads(answer.out) == (kept if dry else [])


def test_store_clean_while_another_one_is_at_it(icansee: Icansee) -> None:
    """An empty list would say that there was nothing to delete."""
    receive(icansee)
    with (icansee.folder / "state" / "retention.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        answer = icansee("store", "clean", "--json")
    assert answer.code != 0
    assert "is deleting images at this moment" in answer.err
    assert icansee("store", "clean", "--json").code == 0
