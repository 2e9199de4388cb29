"""icansee deliveries and config check --connect, at the terminal."""

from __future__ import annotations

import json
import socket
import sqlite3
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from pynetdicom import AE, evt

from tests.fakes import NOON
from tests.listener.commands.cli_runner import Icansee
from workers import config
from workers.arrival.order_texts import WORKLIST_FIND
from workers.container import open_deliveries
from workers.delivery_ports import Decided, Deliveries, Delivery, DeliveryState
from workers.priors.dicom_archive import STUDY_ROOT_GET
from workers.remote.find import STUDY_ROOT_FIND
from workers.remote.probe import ECHO

ONE = Delivery(Decided("1.2.3", 1, "full"), "sr", "pacs", due_at=NOON)


@pytest.fixture
def table(icansee: Icansee) -> Deliveries:
    folder = icansee.folder / "out"
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    destinations = [
        {"name": "pacs", "kind": "dicom", "ae_title": "PACS", "host": "127.0.0.1", "port": port, "outputs": ["sr"]},
        {"name": "share", "kind": "folder", "path": str(folder), "outputs": ["document"], "shadow": True},
    ]
    path = icansee.folder / "config.yaml"
    raw = json.dumps({"store": {"state_dir": str(icansee.folder / "state")}, "results": {"destinations": destinations}})
    path.write_text(raw, encoding="utf-8")
    opened = open_deliveries(config.load(path))
    opened.register(["pacs", "share"], since=NOON)
    return opened


def dead(table: Deliveries) -> int:
    table.add([ONE], now=NOON)
    taken = table.take("pacs", owner="me", now=NOON, for_s=60, longest_s=300)
    assert taken is not None
    table.settle(replace(taken, state=DeliveryState.DEAD, failure="no SR here", error_class="permanent"), now=NOON)
    return taken.number


def test_noop_nothing_was_sent(icansee: Icansee, table: Deliveries) -> None:
    answer = icansee("deliveries", "list", "--json")
    assert (answer.code, json.loads(answer.out)) == (0, [])
    answer = icansee("deliveries", "retry", "--all")
    assert (answer.code, answer.out) == (0, "0 deliveries wait to be sent\n")


def test_list_show_retry_discard(icansee: Icansee, table: Deliveries) -> None:
    number = str(dead(table))
    answer = icansee("deliveries", "list", "--state", "dead")
    assert answer.code == 0
    assert "no SR here" in answer.out
    said = icansee("deliveries", "show", number, "--json").out
    assert json.loads(said)["error_class"] == "permanent"
    assert icansee("deliveries", "retry", "--all", "--to", "pacs").out == "1 deliveries wait to be sent\n"
    assert icansee("deliveries", "discard", number, "--why", "wrong PACS").out == "1 deliveries given up\n"
    said = icansee("deliveries", "show", number).out
    assert "given up: wrong PACS" in said


def test_release_of_what_a_rule_holds_back(icansee: Icansee, table: Deliveries) -> None:
    assert icansee("deliveries", "release", "--all", "--by", "Dr. A").out == "0 deliveries wait to be sent\n"
    table.add([replace(ONE, state=DeliveryState.HELD), replace(ONE, output="sc", state=DeliveryState.HELD)], now=NOON)
    number = str(table.listed()[0].number)
    assert icansee("deliveries", "list", "--state", "held").out.count("held") == 2
    said = icansee("deliveries", "release", number, "--by", "Dr. A", "--why", "seen").out
    assert said == "1 deliveries wait to be sent\n"
    assert json.loads(icansee("deliveries", "show", number, "--json").out)["released_by"] == "Dr. A: seen"
    assert icansee("deliveries", "release", "--all", "--study", "9.9", "--by", "Dr. A").out.startswith("0 ")
    assert icansee("deliveries", "release", "--all", "--study", "1.2.3", "--by", "Dr. A").out.startswith("1 ")
    assert icansee("deliveries", "release", "--by", "Dr. A").code == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(("show", "77"), "there is no delivery 77", id="unknown number"),
        pytest.param(("retry",), "name deliveries by their numbers", id="nothing named"),
        pytest.param(("retry", "1", "--all"), "name deliveries by their numbers", id="both"),
        pytest.param(("retract", "9.9", "--reason", "x"), "no decision is stored", id="unknown study"),
        pytest.param(("retract", "9.9", "--revision", "3", "--reason", "x"), "on revision 3", id="unknown revision"),
        pytest.param(("retract", "1.2.3", "--reason", " "), "a reason is needed", id="no reason"),
        pytest.param(("promote", "nobody", "--by", "a", "--why", "b"), "nobody is not among", id="unknown"),
        pytest.param(("promote", "share", "--by", " ", "--why", "b"), "a name and a reason", id="nobody"),
    ],
)
def test_a_wrong_request_is_named(icansee: Icansee, table: Deliveries, arguments: tuple[str, ...], says: str) -> None:
    answer = icansee("deliveries", *arguments)
    assert answer.code == 2
    assert says in answer.err


def decided(icansee: Icansee, uid: str, planned_at: str | None = "2026-01-01 00:00:01.000000") -> None:
    """A stored decision of revision 1."""
    with sqlite3.connect(icansee.folder / "state" / "index.db") as connection:
        connection.execute(
            "INSERT INTO assessments"
            " (study_instance_uid, revision, stage, stage_rank, created_at, superseded, document, planned_at)"
            " VALUES (?, 1, 'full', 1, '2026-01-01 00:00:00.000000', 0, '{}', ?)",
            (uid, planned_at),
        )


def test_results_that_went_out_are_retracted(icansee: Icansee, table: Deliveries) -> None:
    icansee("studies")  # the index is brought up to date
    decided(icansee, "1.2.3")
    table.add([ONE, replace(ONE, output="sc")], now=NOON)
    taken = table.take("pacs", owner="me", now=NOON, for_s=60, longest_s=300)
    assert taken is not None
    table.settle(replace(taken, state=DeliveryState.DONE, size_bytes=7), now=NOON)
    (icansee.folder / "state" / "results" / "1.2.3" / "r1-full").mkdir(parents=True)
    answer = icansee("deliveries", "retract", "1.2.3", "--reason", "wrong patient")
    assert (answer.code, answer.out) == (0, "1 rejection notes planned; 1 deliveries given up\n")
    note = json.loads((icansee.folder / "state/results/1.2.3/r1-full/retraction.json").read_text())
    assert note["why"] == "wrong patient"
    (planned,) = table.listed(states=[DeliveryState.PLANNED])
    assert (planned.output, planned.destination, planned.urgency) == ("retract", "pacs", 1)
    answer = icansee("deliveries", "retract", "1.2.3", "--revision", "1", "--reason", "again")
    assert answer.out == "0 rejection notes planned; 0 deliveries given up\n"


def test_a_decision_that_nobody_planned_is_not_retracted_without_a_word(icansee: Icansee, table: Deliveries) -> None:
    icansee("studies")
    decided(icansee, "1.2.3", planned_at=None)
    answer = icansee("deliveries", "retract", "1.2.3", "--reason", "wrong patient")
    assert answer.code == 2
    assert "has not yet taken up this decision" in answer.err


@pytest.mark.parametrize(
    ("state", "words", "left"),
    [
        pytest.param("done", ("retry",), "only dead or discarded or planned ones", id="sent again"),
        pytest.param("done", ("discard", "--why", "x"), "only planned or dead or held", id="given up"),
        pytest.param("done", ("release", "--by", "Dr. A"), "only held ones", id="let go"),
        pytest.param("dead", ("retry",), None, id="no-op, it is changed"),
    ],
)
def test_what_is_named_and_left_says_why(
    icansee: Icansee, table: Deliveries, state: str, words: tuple[str, ...], left: str | None
) -> None:
    number = dead(table)
    with sqlite3.connect(icansee.folder / "state" / "index.db") as connection:
        connection.execute("UPDATE deliveries SET state = ? WHERE number = ?", (state, number))
    word, *options = words
    answer = icansee("deliveries", word, str(number), "99", *options)
    said = answer.out
    assert answer.code == 2
    assert icansee("deliveries", word, str(number), *options).code == (0 if left is None else 2)
    assert "99: there is no delivery 99" in said
    assert (f"{number}: it is {state}" in said, str(left) in said) == ((left is not None,) * 2)


def test_shadow_mode_and_its_end(icansee: Icansee, table: Deliveries) -> None:
    table.add([replace(ONE, destination="share", output="document", shadow=True)], now=NOON)
    said = icansee("deliveries", "shadow-report").out
    assert "share: shadow, nothing is sent" in said
    assert "pacs: sends" in said
    assert "1.2.3 r1 full" in said
    assert icansee("deliveries", "promote", "share", "--by", "Dr. Ada", "--why", "two weeks").code == 0
    said = icansee("deliveries", "shadow-report").out
    assert "share: sends" in said
    assert "share promoted by Dr. Ada: two weeks" in said
    assert icansee("deliveries", "demote", "share", "--by", "Dr. Ada", "--why", "too many").code == 0
    assert json.loads(icansee("deliveries", "shadow-report", "--json").out)["shadow"] == {"pacs": False, "share": True}
    assert icansee("deliveries", "history").out.count("by Dr. Ada") == 2
    journal = [json.loads(line) for line in (icansee.folder / "state/web-audit.jsonl").read_text().splitlines()]
    assert [(one["who"], one["did"]) for one in journal] == [
        ("Dr. Ada", "promoted: destination share"),
        ("Dr. Ada", "demoted: destination share"),
    ]


STAGES = [
    pytest.param(["--pattern", "B"], "pattern B", id="pattern"),
    pytest.param(["--scanner", "mr2"], "scanner mr2", id="scanner"),
    pytest.param(["--rule", "quiet nights"], "rule quiet nights", id="rule"),
    pytest.param(["--site"], "the site", id="site"),
]


@pytest.mark.parametrize(("wanted", "named"), STAGES)
def test_every_kind_is_promoted_by_name(icansee: Icansee, table: Deliveries, wanted: list[str], named: str) -> None:
    path = icansee.folder / "config.yaml"
    raw = json.loads(path.read_text(encoding="utf-8"))
    rules = icansee.folder / "rules.yaml"
    rules.write_text("rules: [{name: quiet nights, when: 'true', drop: true, shadow: true}]", encoding="utf-8")
    raw["results"] |= {
        "shadow": True, "shadow_patterns": ["B"], "rules": str(rules),
        "shadow_scanners": [{"name": "mr2", "ae_title": "MR2"}],
    }  # fmt: skip
    path.write_text(json.dumps(raw), encoding="utf-8")
    said = icansee("deliveries", "shadow-report").out
    assert f"{named}: in shadow mode" in said
    answer = icansee("deliveries", "promote", *wanted, "--by", "Dr. Ada", "--why", "two weeks")
    assert answer.code == 0
    assert named not in answer.out.partition("in shadow mode")[2]
    assert f"{named}: released" in icansee("deliveries", "shadow-report").out
    assert f"{named} promoted by Dr. Ada: two weeks" in icansee("deliveries", "history").out


def test_what_is_in_no_shadow_mode_is_not_promoted(icansee: Icansee, table: Deliveries) -> None:
    answer = icansee("deliveries", "promote", "--pattern", "B", "--by", "a", "--why", "b")
    assert (answer.code, "pattern B is not in shadow mode" in answer.err) == (2, True)
    answer = icansee("deliveries", "promote", "share", "--site", "--by", "a", "--why", "b")
    assert (answer.code, "name one destination" in answer.err) == (2, True)
    answer = icansee("deliveries", "demote", "pacs", "--by", "a", "--why", "b")
    assert (answer.code, "destination pacs is not in shadow mode" in answer.err) == (2, True)
    assert icansee("deliveries", "history").out == "nothing was promoted\n"


def test_noop_what_stands_so_already_is_not_recorded(icansee: Icansee, table: Deliveries) -> None:
    said = icansee("deliveries", "demote", "share", "--by", "a", "--why", "b").out
    assert "nothing is recorded: destination share is in shadow mode already" in said
    assert icansee("deliveries", "promote", "share", "--by", "a", "--why", "b").code == 0
    said = icansee("deliveries", "promote", "share", "--by", "a", "--why", "c").out
    assert "nothing is recorded: destination share is released already" in said
    assert icansee("deliveries", "history").out.count("by a") == 1


def test_every_destination_is_called(icansee: Icansee, table: Deliveries) -> None:
    answer = icansee("config", "check", "--connect")
    said = answer.out
    assert answer.code == 1
    lines = [line.split(maxsplit=1) for line in said.splitlines()[:2]]
    assert lines == [["pacs", "NOT REACHED: PACS cannot be reached"], ["share", "the folder is there"]]


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        pytest.param(204, 0, "hook OPTIONS 204", id="noop: it answers"),
        pytest.param(404, 0, "hook OPTIONS 404: it is not known whether it takes results", id="not found"),
        pytest.param(501, 0, "hook OPTIONS 501", id="it knows no OPTIONS"),
        pytest.param(403, 1, "hook REFUSES us: OPTIONS 403", id="it lets nobody in"),
        pytest.param(500, 1, "hook NOT REACHED: OPTIONS 500", id="it has a fault"),
    ],
)
def test_what_an_http_server_answers_is_understood(icansee: Icansee, status: int, code: int, said: str) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_OPTIONS(self) -> None:
            self.send_response(status)
            self.end_headers()

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (icansee.folder / "hook.key").write_text("k" * 64, encoding="utf-8")
    url, key = f"http://127.0.0.1:{server.server_port}/", str(icansee.folder / "hook.key")
    settings = {"results": {"destinations": [{"name": "hook", "kind": "webhook", "url": url, "key_file": key}]}}
    (icansee.folder / "config.yaml").write_text(json.dumps(settings), encoding="utf-8")
    answer = icansee("config", "check", "--connect")
    server.shutdown()
    assert (answer.code, " ".join(answer.out.split())[: len(said)]) == (code, said)


@pytest.mark.parametrize(
    ("end", "code", "said"),
    [
        pytest.param(0x0000, 0, "answers a query for a patient who is not there: 0 found", id="noop: it answers"),
        pytest.param(0xA700, 1, "REFUSES a query: it answers the query with status 0xA700", id="it fails"),
        pytest.param(None, 1, "NOT REACHED: it is away, or does not accept us", id="it is away"),
    ],
)
def test_every_system_that_is_asked_is_called(icansee: Icansee, end: int | None, code: int, said: str) -> None:
    ae = AE(ae_title="PACS")
    for uid in (ECHO, STUDY_ROOT_FIND, STUDY_ROOT_GET, WORKLIST_FIND):
        ae.add_supported_context(uid)
    server = ae.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_FIND, lambda _: iter([(end, None)]))]
    )
    peer = {"ae_title": "PACS", "host": "127.0.0.1", "port": server.socket.getsockname()[1]}
    if end is None:
        server.shutdown()
    settings = {
        "priors": {"sources": [{"name": "arc", **peer}]},
        "feeds": {"worklist": peer},
        "arrival": {"query": peer},
    }
    (icansee.folder / "config.yaml").write_text(json.dumps(settings), encoding="utf-8")
    answer = icansee("config", "check", "--connect")
    if end is not None:
        server.shutdown()
    lines = [line.split(maxsplit=1) for line in answer.out.splitlines()]
    assert [name for name, text in lines if text == said] == ["priors.sources[arc]", "feeds.worklist", "arrival.query"]
    assert answer.code == code


def test_a_file_that_a_destination_lacks_is_found_before_the_start(icansee: Icansee, table: Deliveries) -> None:
    path = icansee.folder / "config.yaml"
    raw = json.loads(path.read_text(encoding="utf-8"))
    hook = {"name": "hook", "kind": "webhook", "url": "http://127.0.0.1/", "key_file": str(icansee.folder / "hook.key")}
    raw["results"]["destinations"].append(hook)
    path.write_text(json.dumps(raw), encoding="utf-8")
    answer = icansee("config", "check")
    assert (answer.code, "hook.key" in answer.err) == (2, True)
    (icansee.folder / "hook.key").write_text("k" * 64, encoding="utf-8")
    assert icansee("config", "check").code == 0


def test_a_node_that_never_ran_is_not_created(icansee: Icansee, tmp_path: Path) -> None:
    answer = icansee("deliveries", "list")
    assert answer.code == 2
    assert "no node has run" in answer.err


def test_the_list_says_why_a_delivery_was_given_up(icansee: Icansee, table: Deliveries) -> None:
    table.add([replace(ONE, failure="away", error_class="transient")], now=NOON)
    assert "away" in icansee("deliveries", "list").out, "no-op: it waits"
    icansee("deliveries", "discard", "1", "--why", "phoned")
    listed = icansee("deliveries", "list").out
    assert "phoned" in listed
    assert "away" not in listed
