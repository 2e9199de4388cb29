"""icansee users, at the terminal."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from listener.node.running import running_port
from listener.web.access.cookies import hashed
from listener.web.access.passwords import Passwords
from listener.web.access.people import accounts_mark, code_for
from tests.listener.commands.cli_runner import Icansee
from tests.patience import PATIENCE_S
from workers import config
from workers.access_ports import DEVICE_KEPT, Accounts, Role
from workers.container import open_accounts

ROOT = Path(__file__).parents[3]


def accounts_of(icansee: Icansee) -> Accounts:
    return open_accounts(config.load(icansee.folder / "config.yaml"))


def test_an_account_from_the_first_day_to_the_last(icansee: Icansee) -> None:
    assert icansee("users", "list", "--json").out == "[]\n"
    assert not accounts_mark(config.load(icansee.folder / "config.yaml")).exists()
    said = icansee("users", "add", "Chief", "--role", "administrator", "--generate")
    assert said.code == 0
    given = said.out.splitlines()[0].removeprefix("password: ")
    accounts = accounts_of(icansee)
    chief = accounts.account("chief")
    assert chief is not None
    assert Passwords().fits(chief.password_hash, given)
    assert accounts_mark(config.load(icansee.folder / "config.yaml")).exists()
    assert icansee("users", "add", "mina", "--no-password").out == "mina may sign in as reader\n"
    assert icansee("users", "role", "mina", "administrator").code == 0
    assert icansee("users", "disable", "chief").code == 0
    (first, second) = json.loads(icansee("users", "list", "--json").out)
    assert (first["name"], first["disabled"], first["by"], first["role"]) == (
        "chief",
        True,
        "password",
        "administrator",
    )
    assert (second["name"], second["disabled"], second["by"]) == ("mina", False, "-")
    assert icansee("users", "enable", "chief").code == 0
    assert "0 sessions of chief ended" in icansee("users", "sessions", "revoke", "chief").out
    assert icansee("users", "sessions", "list", "chief").out == ""
    assert "open" in icansee("users", "list").out


@pytest.mark.parametrize(
    ("arguments", "typed", "said"),
    [
        pytest.param(("add", "a b"), "", "NAME: 1 to 64", id="a name with a space"),
        pytest.param(("add", "mina", "--password-stdin"), "short\n", "12 to 256 characters", id="a short password"),
        pytest.param(
            ("add", "mina-of-the-clinic", "--password-stdin"), "Mina-of-the-clinic\n", "not be the name", id="name"
        ),
        pytest.param(("add", "mina"), "", "this is no terminal", id="nobody to type it"),
        pytest.param(("add", "chief", "--generate"), "", "there is an account chief already", id="taken"),
        pytest.param(("disable", "chief"), "", "the last administrator", id="the last administrator"),
        pytest.param(("role", "chief", "reader"), "", "the last administrator", id="the last one becomes a reader"),
        pytest.param(("password", "nobody", "--generate"), "", "there is no account nobody", id="unknown"),
        pytest.param(("code", "nobody"), "", "there is no account nobody", id="a code for nobody"),
    ],
)
def test_what_is_refused(
    icansee: Icansee, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], typed: str, said: str
) -> None:
    icansee("users", "add", "chief", "--role", "administrator", "--no-password")
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    answer = icansee("users", *arguments)
    assert (answer.code, said in answer.err) == (2, True), answer.err
    assert [one.name for one in accounts_of(icansee).accounts() if one.role is Role.ADMINISTRATOR] == ["chief"]


def test_a_new_password_comes_from_stdin(icansee: Icansee, monkeypatch: pytest.MonkeyPatch) -> None:
    icansee("users", "add", "mina", "--generate")
    before = accounts_of(icansee).account("mina")
    monkeypatch.setattr(sys, "stdin", io.StringIO("correct horse battery\n"))
    assert icansee("users", "password", "mina", "--password-stdin").code == 0
    after = accounts_of(icansee).account("mina")
    assert before is not None
    assert after is not None
    assert after.password_hash != before.password_hash
    assert Passwords().fits(after.password_hash, "correct horse battery")


def test_a_code_makes_a_browser_known(icansee: Icansee) -> None:
    icansee("users", "add", "mina", "--no-password")
    said = icansee("users", "code", "Mina").out.strip()
    accounts, now = accounts_of(icansee), datetime.now(UTC)
    stored = code_for("mina", now)[1]
    assert said.startswith("code: ")
    assert accounts.device(hashed(f"{said.removeprefix('code: ')} mina")) is not None
    assert now - stored.seen_at < DEVICE_KEPT


@pytest.mark.server
def test_the_page_beyond_loopback_waits_for_an_account(icansee: Icansee) -> None:
    """The process starts, so that `icansee serve` starts as well, and opens when there is an account."""
    icansee.configure(web={"port": 0, "allowed_hosts": ["worklist.clinic"]})
    settings = config.load(icansee.folder / "config.yaml")
    command = [sys.executable, "-m", "listener.commands.main", "web", "--config", str(icansee.folder / "config.yaml")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            while (port := running_port(settings, "web")) is None:
                assert process.poll() is None, "it has ended"
                time.sleep(0.1)
            site = f"http://127.0.0.1:{port}"
            named = {"Host": "worklist.clinic"}
            assert httpx.get(f"{site}/api/studies", headers=named, timeout=PATIENCE_S).status_code == 401
            assert "accounts" in httpx.get(f"{site}/healthz", headers=named, timeout=PATIENCE_S).json()["problems"]
            icansee("users", "add", "chief", "--role", "administrator", "--no-password")
            assert "accounts" not in httpx.get(f"{site}/healthz", headers=named, timeout=PATIENCE_S).json()["problems"]
        finally:
            process.terminate()


def test_a_token_from_the_first_day_to_the_last(icansee: Icansee) -> None:
    icansee("users", "add", "prometheus", "--role", "service", "--no-password")
    said = icansee(
        "users", "tokens", "add", "prometheus", "--scope", "metrics", "--for", "the [b]server", "--days", "7"
    )
    first, second = said.out.splitlines()
    key = second.partition(" ")[0]
    assert first.startswith(f"token: icansee_{key}_")
    listed = icansee("users", "tokens", "list", "prometheus").out
    assert key in listed
    assert first.removeprefix("token: ") not in listed
    assert "[b]server" in listed
    assert "1 tokens go on" in icansee("users", "sessions", "revoke", "prometheus").out
    assert icansee("users", "tokens", "revoke", "prometheus", key).code == 0
    assert icansee("users", "sessions", "revoke", "prometheus").out == "0 sessions of prometheus ended\n", "noop"
    icansee("users", "tokens", "add", "prometheus", "--scope", "metrics", "--for", "the server")
    assert "0 sessions and 1 tokens ended" in icansee("users", "password", "prometheus", "--generate").out
    assert accounts_of(icansee).tokens("prometheus") == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add", "nobody", "--scope", "metrics", "--for", "x"), "there is no account nobody"),
        (("add", "mina", "--scope", "everything", "--for", "x"), "everything"),
        (("add", "mina", "--scope", "metrics", "--for", " "), "label"),
        (("add", "mina", "--scope", "metrics", "--for", "x", "--days", "9999"), "days: 1 to"),
        (("revoke", "mina", "00000000"), "no token 00000000"),
    ],
)
def test_tokens_that_are_refused(icansee: Icansee, arguments: tuple[str, ...], said: str) -> None:
    icansee("users", "add", "mina", "--no-password")
    done = icansee("users", "tokens", *arguments)
    assert done.code == 2
    assert said in done.err + done.out
