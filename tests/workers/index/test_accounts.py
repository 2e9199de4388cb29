"""What every implementation of access_ports.Accounts must do: the one in SQL on both databases, and the fake."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.engine import Engine

from tests.fakes_access import FakeAccounts
from triage.errors import Misconfigured
from workers.access_ports import (
    DEVICE_KEPT,
    MOST_DEVICES,
    Account,
    Accounts,
    Device,
    KeyUse,
    PersonalToken,
    Role,
    TokenScope,
    WebSession,
    account_name,
    disabled,
)
from workers.index.accounts import SqlAccounts

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
READER = Account("mina", Role.READER, NOW, password_hash="$argon2id$x", subject="https://idp 77")
HOUR = timedelta(hours=1)
OTHER = Account("omar", Role.ADMINISTRATOR, NOW)
SESSION = WebSession("a" * 64, "mina", NOW, NOW, NOW + timedelta(hours=12))


TOKEN = PersonalToken(
    "0a", "a" * 64, "mina", "a script", frozenset({TokenScope.METRICS, TokenScope.STUDIES_READ}), NOW, NOW + HOUR
)


@pytest.fixture(params=["fake", "sqlite", "postgresql"])
def accounts(request: pytest.FixtureRequest, engine_of: Callable[[str], Engine]) -> Accounts:
    return FakeAccounts() if request.param == "fake" else SqlAccounts(engine_of(request.param))


def test_accounts_are_made_once_and_changed(accounts: Accounts) -> None:
    assert not accounts.any_account()
    assert (accounts.account("mina"), accounts.accounts()) == (None, [])
    assert not accounts.change_account(READER), "noop: there is none"
    assert accounts.add_account(OTHER)
    assert accounts.add_account(READER)
    assert not accounts.add_account(replace(READER, role=Role.ADMINISTRATOR))
    assert accounts.any_account()
    assert accounts.accounts() == [READER, OTHER]
    assert accounts.account_of_subject("https://idp 77") == READER
    assert accounts.account_of_subject("https://idp 7") is None
    changed = replace(READER, password_hash="new", role=Role.SERVICE, subject=None, disabled=True)
    assert accounts.change_account(replace(changed, created_at=NOW + timedelta(days=1)))
    assert accounts.account("mina") == changed, "when it was made does not change"


def test_sessions_are_found_touched_and_ended(accounts: Accounts) -> None:
    accounts.add_account(READER)
    accounts.add_account(OTHER)
    assert accounts.session(SESSION.token_hash) is None
    accounts.open_session(SESSION)
    accounts.open_session(replace(SESSION, token_hash="b" * 64, opened_at=NOW + timedelta(hours=1)))
    accounts.open_session(replace(SESSION, token_hash="c" * 64, account="omar"))
    later = NOW + timedelta(minutes=3)
    accounts.touch_session(SESSION.token_hash, seen_at=later)
    accounts.touch_session("d" * 64, seen_at=later)
    assert accounts.session(SESSION.token_hash) == (replace(SESSION, seen_at=later), READER)
    assert [one.token_hash[0] for one in accounts.sessions("mina")] == ["b", "a"]
    accounts.end_session(SESSION.token_hash)
    assert accounts.session(SESSION.token_hash) is None
    assert accounts.end_sessions("mina") == 1
    assert [one.token_hash[0] for one in accounts.sessions("omar")] == ["c"]


def test_a_new_session_removes_those_that_have_ended(accounts: Accounts) -> None:
    accounts.add_account(READER)
    accounts.open_session(SESSION)
    accounts.open_session(replace(SESSION, token_hash="b" * 64, opened_at=SESSION.ends_at))
    assert [one.token_hash[0] for one in accounts.sessions("mina")] == ["b"]


def test_devices_are_known_until_all_sessions_are_ended(accounts: Accounts) -> None:
    device = Device("d" * 64, "mina", NOW)
    assert accounts.device(device.token_hash) is None
    accounts.remember_device(device)
    accounts.remember_device(replace(device, account="omar"))
    assert accounts.device(device.token_hash) == device
    assert accounts.end_sessions("omar") == 0
    assert accounts.device(device.token_hash) == device
    accounts.end_sessions("mina")
    assert accounts.device(device.token_hash) is None


def test_browsers_are_forgotten_by_age_and_by_number(accounts: Accounts) -> None:
    """Noop: those of somebody else, and the one that signs in again and again."""
    others, steady = Device("o" * 64, "omar", NOW - timedelta(days=1)), Device("s" * 64, "mina", NOW)
    gone = Device("g" * 64, "omar", NOW - DEVICE_KEPT)
    for one in (gone, others, steady):
        accounts.remember_device(one)
    assert accounts.device(gone.token_hash) is None, "too old"
    many = [Device(f"{n:064}", "mina", NOW + n * HOUR) for n in range(MOST_DEVICES + 5)]
    for one in many:
        accounts.remember_device(one)
        accounts.remember_device(replace(steady, seen_at=one.seen_at))
    found = [one for one in many if accounts.device(one.token_hash) is not None]
    assert found == many[6:], "the newest, and the steady one"
    assert accounts.device(steady.token_hash) == replace(steady, seen_at=many[-1].seen_at)
    assert accounts.device(others.token_hash) == others


def test_a_code_has_its_place_also_beside_many_browsers(accounts: Accounts) -> None:
    for n in range(MOST_DEVICES):
        accounts.remember_device(Device(f"{n:064}", "mina", NOW + n * HOUR))
    code = Device("c" * 64, "mina", NOW - DEVICE_KEPT + timedelta(days=1))
    accounts.remember_device(code)
    assert accounts.device(code.token_hash) == code


def test_the_use_of_keys_changes_alone(accounts: Accounts) -> None:
    accounts.add_account(READER)
    accounts.add_account(OTHER)
    assert accounts.accounts() == [READER, OTHER], "noop: keys act alone"
    accounts.use_keys("mina", KeyUse.ALT)
    assert accounts.accounts() == [replace(READER, keys=KeyUse.ALT), OTHER]


def test_a_closed_account_has_no_session(accounts: Accounts) -> None:
    accounts.add_account(READER)
    accounts.open_session(SESSION)
    disabled(READER, accounts)
    assert accounts.account("mina") == replace(READER, disabled=True)
    assert accounts.sessions("mina") == []


@pytest.mark.parametrize(
    ("text", "name"),
    [
        pytest.param("mina", "mina", id="noop"),
        pytest.param(" Mina.Sol@Clinic-2 ", "mina.sol@clinic-2", id="lower case, trimmed"),
        pytest.param("", None, id="empty"),
        pytest.param("this machine", None, id="a space"),
        pytest.param(".mina", None, id="begins with a sign"),
        pytest.param("m" * 65, None, id="too long"),
        pytest.param("mína", None, id="a letter that looks like another"),
        pytest.param("mina\n", "mina", id="newline is trimmed"),
        pytest.param("mi\nna", None, id="newline inside"),
    ],
)
def test_names(text: str, name: str | None) -> None:
    if name is not None:
        assert account_name(text) == name
        return
    with pytest.raises(Misconfigured, match="NAME"):
        account_name(text)


def test_tokens_are_found_used_and_ended(accounts: Accounts) -> None:
    accounts.add_account(READER)
    accounts.add_account(OTHER)
    assert accounts.token(TOKEN.token_hash) is None
    accounts.add_token(TOKEN)
    newer = replace(TOKEN, key="0b", token_hash="b" * 64, created_at=NOW + HOUR / 2)
    accounts.add_token(newer)
    accounts.add_token(replace(TOKEN, key="0c", token_hash="c" * 64, account="omar"))
    accounts.touch_token("0a", used_at=NOW + HOUR / 4)
    accounts.touch_token("ff", used_at=NOW)
    used = replace(TOKEN, used_at=NOW + HOUR / 4)
    assert accounts.token(TOKEN.token_hash) == (used, READER)
    assert accounts.tokens("mina") == [newer, used]
    assert not accounts.end_token("omar", "0a"), "it is not his"
    assert accounts.end_token("mina", "0a")
    assert not accounts.end_token("mina", "0a"), "noop: it is ended already"
    assert accounts.tokens("mina") == [newer]
    disabled(READER, accounts)
    assert accounts.tokens("mina") == []
    assert [one.key for one in accounts.tokens("omar")] == ["0c"]
    accounts.add_token(replace(newer, created_at=NOW + HOUR, ends_at=NOW + 2 * HOUR))
    assert accounts.tokens("omar") == [], "what has ended is removed"
