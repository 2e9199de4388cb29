"""The fake of access_ports.Accounts."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from triage.errors import Transient
from workers.access_ports import DEVICE_KEPT, MOST_DEVICES, Account, Device, KeyUse, PersonalToken, WebSession


class FakeAccounts:
    """In memory. away: every question raises Transient."""

    def __init__(self) -> None:
        self.away = False
        self._accounts: dict[str, Account] = {}
        self._sessions: dict[str, WebSession] = {}
        self._devices: dict[str, Device] = {}
        self._tokens: dict[str, PersonalToken] = {}

    def _look(self) -> None:
        if self.away:
            raise Transient("away")

    def any_account(self) -> bool:
        self._look()
        return bool(self._accounts)

    def account(self, name: str) -> Account | None:
        self._look()
        return self._accounts.get(name)

    def account_of_subject(self, subject: str) -> Account | None:
        self._look()
        return next((one for one in self._accounts.values() if one.subject == subject), None)

    def accounts(self) -> list[Account]:
        self._look()
        return sorted(self._accounts.values(), key=lambda one: one.name)

    def add_account(self, account: Account) -> bool:
        self._look()
        return self._accounts.setdefault(account.name, account) is account

    def change_account(self, account: Account) -> bool:
        self._look()
        known = self._accounts.get(account.name)
        if known is not None:
            self._accounts[account.name] = replace(account, created_at=known.created_at)
        return known is not None

    def use_keys(self, account: str, keys: KeyUse) -> None:
        self._look()
        self._accounts[account] = replace(self._accounts[account], keys=keys)

    def open_session(self, session: WebSession) -> None:
        self._look()
        self._sessions = {key: one for key, one in self._sessions.items() if one.ends_at > session.opened_at}
        self._sessions[session.token_hash] = session

    def session(self, token_hash: str) -> tuple[WebSession, Account] | None:
        self._look()
        found = self._sessions.get(token_hash)
        return None if found is None else (found, self._accounts[found.account])

    def sessions(self, account: str) -> list[WebSession]:
        self._look()
        own = [one for one in self._sessions.values() if one.account == account]
        return sorted(own, key=lambda one: one.opened_at, reverse=True)

    def touch_session(self, token_hash: str, *, seen_at: datetime) -> None:
        self._look()
        if token_hash in self._sessions:
            self._sessions[token_hash] = replace(self._sessions[token_hash], seen_at=seen_at)

    def end_session(self, token_hash: str) -> None:
        self._look()
        self._sessions.pop(token_hash, None)

    def end_sessions(self, account: str) -> int:
        own = self.sessions(account)
        for one in own:
            del self._sessions[one.token_hash]
        self._devices = {key: one for key, one in self._devices.items() if one.account != account}
        return len(own)

    def remember_device(self, device: Device) -> None:
        self._look()
        known = self._devices.pop(device.token_hash, device)
        old = device.seen_at - DEVICE_KEPT
        own = sorted((one for one in self._devices.values() if one.account == device.account), key=_seen, reverse=True)
        beyond = {one.token_hash for one in own[MOST_DEVICES - 1 :]}
        kept = {k: one for k, one in self._devices.items() if one.seen_at > old and k not in beyond}
        self._devices = {**kept, device.token_hash: device if known.account == device.account else known}

    def device(self, token_hash: str) -> Device | None:
        self._look()
        return self._devices.get(token_hash)

    def add_token(self, token: PersonalToken) -> None:
        self._look()
        self._tokens = {key: one for key, one in self._tokens.items() if one.ends_at > token.created_at}
        self._tokens[token.key] = token

    def token(self, token_hash: str) -> tuple[PersonalToken, Account] | None:
        self._look()
        found = next((one for one in self._tokens.values() if one.token_hash == token_hash), None)
        return None if found is None else (found, self._accounts[found.account])

    def tokens(self, account: str) -> list[PersonalToken]:
        self._look()
        own = [one for one in self._tokens.values() if one.account == account]
        return sorted(sorted(own, key=lambda one: one.key), key=lambda one: one.created_at, reverse=True)

    def touch_token(self, key: str, *, used_at: datetime) -> None:
        self._look()
        if key in self._tokens:
            self._tokens[key] = replace(self._tokens[key], used_at=used_at)

    def end_token(self, account: str, key: str) -> bool:
        self._look()
        found = self._tokens.get(key)
        if found is None or found.account != account:
            return False
        del self._tokens[key]
        return True

    def end_tokens(self, account: str) -> int:
        return sum(self.end_token(account, one.key) for one in self.tokens(account))


def _seen(device: Device) -> datetime:
    return device.seen_at
