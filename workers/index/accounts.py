"""Accounts, sessions and devices in the index: access_ports.Accounts over SQLite or PostgreSQL."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from workers.access_ports import (
    DEVICE_KEPT,
    MOST_DEVICES,
    Account,
    Device,
    KeyUse,
    PersonalToken,
    Role,
    TokenScope,
    WebSession,
)
from workers.index.access_tables import accounts, web_devices, web_sessions, web_tokens
from workers.index.connected import Connected
from workers.index.schema import open_engine

A, S, D, T = accounts.c, web_sessions.c, web_devices.c, web_tokens.c


def open_account_table(url: str) -> SqlAccounts:
    """The accounts of an index whose tables are there already.

    Raises:
        Misconfigured: the URL is not one of SQLite or PostgreSQL.
    """
    return SqlAccounts(open_engine(url))


class SqlAccounts(Connected):
    """See access_ports.Accounts."""

    def any_account(self) -> bool:
        return bool(self._read(sa.select(A.name).limit(1)))

    def account(self, name: str) -> Account | None:
        return self._account(A.name == name)

    def account_of_subject(self, subject: str) -> Account | None:
        return self._account(A.subject == subject)

    def accounts(self) -> list[Account]:
        return [_account(row) for row in self._read(sa.select(accounts).order_by(A.name))]

    def add_account(self, account: Account) -> bool:
        wanted = self._insert(accounts).values(_values(account)).on_conflict_do_nothing().returning(A.name)
        with self._write() as connection:
            return connection.execute(wanted).one_or_none() is not None

    def change_account(self, account: Account) -> bool:
        values = {name: value for name, value in _values(account).items() if name not in ("name", "created_at")}
        return self._update_one(accounts.update().where(A.name == account.name).values(values))

    def use_keys(self, account: str, keys: KeyUse) -> None:
        self._update_one(accounts.update().where(A.name == account).values(keys=keys.value))

    def open_session(self, session: WebSession) -> None:
        with self._write() as connection:
            connection.execute(web_sessions.delete().where(S.ends_at <= session.opened_at))
            connection.execute(web_sessions.insert().values(**vars(session)))

    def session(self, token_hash: str) -> tuple[WebSession, Account] | None:
        both = sa.select(*(S[name].label(f"s_{name}") for name in S.keys()), *A)  # noqa: SIM118 - not a mapping
        rows = self._read(both.join_from(web_sessions, accounts, A.name == S.account).where(S.token_hash == token_hash))
        if not rows:
            return None
        (row,) = rows
        return WebSession(**{name: row[f"s_{name}"] for name in S.keys()}), _account(row)  # noqa: SIM118

    def sessions(self, account: str) -> list[WebSession]:
        wanted = sa.select(web_sessions).where(S.account == account).order_by(S.opened_at.desc())
        return [WebSession(**row) for row in self._read(wanted)]

    def touch_session(self, token_hash: str, *, seen_at: datetime) -> None:
        self._update_one(web_sessions.update().where(S.token_hash == token_hash).values(seen_at=seen_at))

    def end_session(self, token_hash: str) -> None:
        with self._write() as connection:
            connection.execute(web_sessions.delete().where(S.token_hash == token_hash))

    def end_sessions(self, account: str) -> int:
        with self._write() as connection:
            connection.execute(web_devices.delete().where(D.account == account))
            return connection.execute(web_sessions.delete().where(S.account == account)).rowcount

    def remember_device(self, device: Device) -> None:
        stored = self._insert(web_devices).values(**vars(device))
        seen, own = {"seen_at": device.seen_at}, D.account == device.account
        others = sa.select(D.token_hash).where(own, D.token_hash != device.token_hash)
        newest_first = others.order_by(D.seen_at.desc(), D.token_hash)
        with self._write() as connection:
            connection.execute(stored.on_conflict_do_update(index_elements=[D.token_hash], set_=seen, where=own))
            connection.execute(web_devices.delete().where(D.seen_at <= device.seen_at - DEVICE_KEPT))
            beyond = connection.execute(newest_first.offset(MOST_DEVICES - 1)).scalars().all()
            connection.execute(web_devices.delete().where(D.token_hash.in_(beyond)))

    def device(self, token_hash: str) -> Device | None:
        rows = self._read(sa.select(web_devices).where(D.token_hash == token_hash))
        return Device(**rows[0]) if rows else None

    def add_token(self, token: PersonalToken) -> None:
        values = {**vars(token), "scopes": sorted(scope.value for scope in token.scopes)}
        with self._write() as connection:
            connection.execute(web_tokens.delete().where(T.ends_at <= token.created_at))
            connection.execute(web_tokens.insert().values(values))

    def token(self, token_hash: str) -> tuple[PersonalToken, Account] | None:
        both = sa.select(*(T[name].label(f"t_{name}") for name in T.keys()), *A)  # noqa: SIM118 - not a mapping
        rows = self._read(both.join_from(web_tokens, accounts, A.name == T.account).where(T.token_hash == token_hash))
        if not rows:
            return None
        (row,) = rows
        return _token({name: row[f"t_{name}"] for name in T.keys()}), _account(row)  # noqa: SIM118

    def tokens(self, account: str) -> list[PersonalToken]:
        wanted = sa.select(web_tokens).where(T.account == account).order_by(T.created_at.desc(), T.key)
        return [_token(dict(row)) for row in self._read(wanted)]

    def touch_token(self, key: str, *, used_at: datetime) -> None:
        self._update_one(web_tokens.update().where(T.key == key).values(used_at=used_at))

    def end_token(self, account: str, key: str) -> bool:
        with self._write() as connection:
            ended = web_tokens.delete().where(T.account == account, T.key == key)
            return connection.execute(ended).rowcount == 1

    def end_tokens(self, account: str) -> int:
        with self._write() as connection:
            return connection.execute(web_tokens.delete().where(T.account == account)).rowcount

    def _account(self, condition: sa.ColumnElement[bool]) -> Account | None:
        rows = self._read(sa.select(accounts).where(condition))
        return _account(rows[0]) if rows else None


def _account(row: RowMapping) -> Account:
    values: dict[str, Any] = {name: row[name] for name in A.keys()}  # noqa: SIM118 - not a mapping
    return Account(**{**values, "role": Role(values["role"]), "keys": KeyUse(values["keys"])})


def _token(values: dict[str, Any]) -> PersonalToken:
    return PersonalToken(**{**values, "scopes": frozenset(TokenScope(scope) for scope in values["scopes"])})


def _values(account: Account) -> dict[str, Any]:
    return {**vars(account), "role": account.role.value, "keys": account.keys.value}
