"""Promotion from shadow mode and back by page and by API: who may, what is needed, where it is recorded."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from listener.web.app import create_app
from tests.listener.web.access.test_tokens import ask, token_of
from tests.listener.web.signing import Browser, Secured
from tests.listener.web.test_pages import check_nothing_runs
from tests.listener.web.visible import content, words
from workers.access_ports import Role, TokenScope
from workers.audit.journal import journal_file, verify_journal
from workers.config import parse
from workers.delivery_ports import ShadowKind, released_by
from workers.index import migrations
from workers.index.deliveries import SqlDeliveries
from workers.index.schema import open_engine

RULES = "rules: [{name: quiet <b>nights</b>, when: 'true', drop: true, shadow: true}]"
SHARE = {"kind": "folder", "path": "/mnt/results", "outputs": ["document"]}
STAGES = [
    pytest.param("site", "", "the site", id="site"),
    pytest.param("destination", "share", "destination share", id="destination"),
    pytest.param("scanner", "mr2", "scanner mr2", id="scanner"),
    pytest.param("pattern", "B", "pattern B", id="pattern"),
    pytest.param("rule", "quiet <b>nights</b>", "rule quiet <b>nights</b>", id="rule"),
]
B = {"kind": "pattern", "name": "B", "why": "40 of 41 agree"}


class Shadowed(Secured):
    """A site that has everything in shadow mode, and reports to an audit repository that is away."""

    def __init__(self, folder: Path, *, rules: str = RULES, shadow: bool = True) -> None:
        engine = open_engine(f"sqlite:///{folder / 'index.db'}")
        migrations.prepare(engine, upgrade=False)
        self.deliveries = SqlDeliveries(engine)
        super().__init__(folder, deliveries=self.deliveries)
        (folder / "rules.yaml").write_text(rules, encoding="utf-8")
        results: dict[str, Any] = {
            "destinations": [SHARE | {"name": "share", "shadow": shadow}, SHARE | {"name": "live"}]
        }
        if shadow:
            results |= {
                "shadow": True, "shadow_patterns": ["B"], "shadow_scanners": [{"name": "mr2", "ae_title": "MR2"}],
                "rules": str(folder / "rules.yaml"),
            }  # fmt: skip
        self.settings = parse(
            {
                "store": {"state_dir": str(folder), "min_free_bytes": 0},
                "audit": {"host": "127.0.0.1", "port": 1, "tls": {"ca": str(folder / "ca.pem")}},
                "results": results,
            }
        )
        self.site = replace(self.site, settings=self.settings)
        self.app = create_app(self.site, self.people)

    def released(self) -> set[tuple[ShadowKind, str]]:
        return set(released_by(self.deliveries.releases()))

    def journal(self) -> list[dict[str, Any]]:
        path = journal_file(self.settings)
        lines = path.read_text(encoding="ascii").splitlines() if path.exists() else []
        return [one for one in map(json.loads, lines) if "why" in one]

    def audited(self) -> list[str]:
        spool = (self.settings.store.state_dir / "audit").rglob("*")
        texts = [one.read_text("utf-8") for one in spool if one.is_file()]
        return [one for one in texts if "Software Configuration" in one]


def post(browser: Browser, path: str, body: dict[str, Any]) -> Any:
    return browser.post(path, json=body, headers={"X-CSRF-Token": browser.get("/api/session").json()["csrf"]})


@pytest.fixture
def shadowed(tmp_path: Path) -> Shadowed:
    return Shadowed(tmp_path)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shadowed, Browser]:
    """One site for many tests, each about a stage of its own, or about none; and its administrator."""
    site = Shadowed(tmp_path_factory.mktemp("site"))
    return site, site.signed_in(Role.ADMINISTRATOR)


@pytest.mark.parametrize(("kind", "name", "said"), STAGES)
def test_every_stage_goes_live_and_back_by_the_api(
    kept: tuple[Shadowed, Browser], kind: str, name: str, said: str
) -> None:
    site, browser = kept
    body, journal, audited = {"kind": kind, "name": name}, len(site.journal()), set(site.audited())
    answer = post(browser, "/api/stages/promote", body | {"why": " two\n weeks\u202e "}).json()
    assert (answer["changed"], answer["kind"], answer["name"], answer["shadow"]) == (True, kind, name, False)
    assert site.released() == {(ShadowKind(kind), name)}
    answer = post(browser, "/api/stages/demote", body | {"why": "too many"}).json()
    assert (answer["changed"], answer["shadow"]) == (True, True)
    assert site.released() == set()
    by = [(one["promoted"], one["by"], one["why"]) for one in answer["history"]]
    assert by == [(True, "administrator", "two weeks"), (False, "administrator", "too many")]
    told = [(one["who"], one["did"], one["why"]) for one in site.journal()[journal:]]
    assert told == [
        ("administrator", f"promoted: {said}", "two weeks"),
        ("administrator", f"demoted: {said}", "too many"),
    ]
    assert verify_journal(journal_file(site.settings)).broken == ()
    sent = [one for one in site.audited() if one not in audited]
    assert sorted("two weeks" in one for one in sent) == [False, True]


REFUSED = [
    pytest.param(B | {"why": ""}, 422, "a reason are needed", id="no reason"),
    pytest.param(B | {"why": " \n\t"}, 422, "a reason are needed", id="blank reason"),
    pytest.param(B | {"why": "\u202e\u200b\x07"}, 422, "a reason are needed", id="a reason that nobody sees"),
    pytest.param({"kind": "pattern", "name": "B"}, 422, "why", id="reason not stated"),
    pytest.param(B | {"why": "x" * 501}, 422, "500", id="too long"),
    pytest.param(B | {"name": "C"}, 404, "pattern C is not in shadow mode by the settings", id="unknown pattern"),
    pytest.param(B | {"kind": "destination"}, 404, "B is not among results.destinations", id="unknown destination"),
    pytest.param(
        B | {"kind": "destination", "name": "live"}, 404, "destination live is not in shadow mode", id="never in shadow"
    ),
    pytest.param(B | {"kind": "site"}, 404, "site B is not in shadow mode", id="the site has no name"),
    pytest.param(B | {"kind": "moon"}, 422, "kind", id="unknown kind"),
    pytest.param(B | {"by": "somebody else"}, 422, "by", id="who it was is not for the caller to say"),
]


@pytest.mark.parametrize(("body", "status", "says"), REFUSED)
@pytest.mark.parametrize("way", ["promote", "demote"])
def test_a_wrong_request_is_named_and_records_nothing(
    kept: tuple[Shadowed, Browser], way: str, body: dict[str, Any], status: int, says: str
) -> None:
    site, browser = kept
    before = site.deliveries.releases(), site.journal(), site.audited()
    answer = post(browser, f"/api/stages/{way}", body)
    assert (answer.status_code, says in answer.text) == (status, True), answer.text
    assert (site.deliveries.releases(), site.journal(), site.audited()) == before


def test_noop_what_stands_so_already_is_not_recorded(shadowed: Shadowed) -> None:
    browser = shadowed.signed_in(Role.ADMINISTRATOR)
    answer = post(browser, "/api/stages/demote", B).json()
    assert (answer["changed"], answer["shadow"], answer["history"]) == (False, True, [])
    assert post(browser, "/api/stages/promote", B).json()["changed"]
    answer = post(browser, "/api/stages/promote", B | {"why": "again"}).json()
    assert (answer["changed"], answer["shadow"], len(answer["history"])) == (False, False, 1)
    assert (len(shadowed.deliveries.releases()), len(shadowed.journal()), len(shadowed.audited())) == (1, 1, 1)


@pytest.mark.parametrize("role", [Role.READER, Role.SERVICE])
def test_only_an_administrator_promotes(kept: tuple[Shadowed, Browser], role: Role) -> None:
    site, before = kept[0], kept[0].deliveries.releases()
    browser = site.signed_in(role)
    assert post(browser, "/api/stages/promote", B).status_code == 403
    assert browser.submit("/operations/stage", B | {"do": "promote"}).status_code == 403
    assert browser.get("/api/stages").status_code == (200 if role is Role.SERVICE else 403)
    assert site.deliveries.releases() == before


@pytest.mark.parametrize(("scope", "status"), [(TokenScope.NODE_CHANGE, 200), (TokenScope.NODE_READ, 403)])
def test_a_token_promotes_with_its_scope(shadowed: Shadowed, scope: TokenScope, status: int) -> None:
    token = token_of(shadowed, Role.ADMINISTRATOR, scope)
    assert ask(shadowed, token, "/api/stages/promote", "POST", json=B).status_code == status
    (stored,) = shadowed.accounts.tokens("administrator")
    told = [(one["who"], one["token"]) for one in shadowed.journal()]
    assert told == ([("administrator", stored.key)] if status == 200 else [])


def test_the_page_promotes_and_takes_back(shadowed: Shadowed) -> None:
    browser = shadowed.signed_in(Role.ADMINISTRATOR)
    page = browser.page("/operations").text
    check_nothing_runs(page)
    assert page.count('action="/operations/stage"') == len(STAGES)
    assert "quiet &lt;b&gt;nights&lt;/b&gt;" in page
    answer = browser.submit("/operations/stage", B | {"do": "promote", "why": "<i>two weeks</i>"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/operations?stage=promoted#h-shadow")
    again = browser.submit("/operations/stage", B | {"do": "promote"})
    assert again.headers["location"] == "/operations?stage=same#h-shadow"
    page = browser.page("/operations?stage=promoted").text
    check_nothing_runs(page)
    said = " ".join(words(content(page)))
    assert "Promoted: decisions from now on are sent." in said
    assert "promoted by administrator : <i>two weeks</i>" in said
    answer = browser.submit("/operations/stage", B | {"do": "demote"})
    assert answer.headers["location"] == "/operations?stage=demoted#h-shadow"
    assert shadowed.released() == set()


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        pytest.param({"why": " "}, 422, id="no reason"),
        pytest.param({"do": ""}, 422, id="neither way"),
        pytest.param({"kind": "moon"}, 404, id="unknown kind"),
        pytest.param({"name": "C"}, 404, id="unknown name"),
    ],
)
def test_a_wrong_form_is_refused(kept: tuple[Shadowed, Browser], fields: dict[str, str], status: int) -> None:
    site, browser = kept
    before = site.deliveries.releases()
    assert browser.submit("/operations/stage", B | {"do": "promote"} | fields).status_code == status
    assert browser.submit("/operations/stage", B | {"do": "promote"}, csrf="0" * 64).status_code == 403
    assert site.deliveries.releases() == before


def test_a_wrong_file_of_rules_keeps_only_the_rules_away(tmp_path: Path) -> None:
    site = Shadowed(tmp_path, rules="rules: [{name: broken, when: 'x +'}]")
    browser = site.signed_in(Role.ADMINISTRATOR)
    assert [one["kind"] for one in browser.get("/api/stages").json()] == ["site", "destination", "scanner", "pattern"]
    assert post(browser, "/api/stages/promote", B).json()["changed"]
    answer = post(browser, "/api/stages/promote", B | {"kind": "rule", "name": "broken"})
    assert (answer.status_code, "rules.yaml" in answer.text) == (422, True)


def test_noop_nothing_is_in_shadow_mode(tmp_path: Path) -> None:
    site = Shadowed(tmp_path, shadow=False)
    browser = site.signed_in(Role.ADMINISTRATOR)
    assert browser.get("/api/stages").json() == []
    page = browser.page("/operations").text
    assert "Nothing is in shadow mode." in page
    assert "/operations/stage" not in page


def test_a_node_without_deliveries_has_no_stages(tmp_path: Path) -> None:
    browser = Secured(tmp_path).signed_in(Role.ADMINISTRATOR)
    assert browser.get("/api/stages").status_code == 404
    assert post(browser, "/api/stages/promote", B).status_code == 404
