"""Who may use the web application: accounts, sessions and devices as values, and the port that keeps them.

A fake of Accounts stands in tests/fakes_access.py. Nothing here holds a secret: a password is stored as its Argon2
hash, a token of a session or a device as its SHA-256.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from triage.errors import Misconfigured

DEVICE_KEPT = timedelta(days=400)  # as long as a browser keeps a cookie
MOST_DEVICES = 100  # of one account; a browser that forgets its cookies is a new one each time
NAME = re.compile(r"^[a-z0-9][a-z0-9._@-]{0,63}$")


class Role(StrEnum):
    """READER sees patients and acts on studies; ADMINISTRATOR sees and changes everything; SERVICE sees how the node
    works, and no patient."""

    READER = "reader"
    ADMINISTRATOR = "administrator"
    SERVICE = "service"


class TokenScope(StrEnum):
    """What a personal token of the API is limited to: a token can do what its account can and what its scopes name."""

    STUDIES_READ = "studies:read"
    STUDIES_ACT = "studies:act"
    NODE_READ = "node:read"
    NODE_CHANGE = "node:change"
    METRICS = "metrics"


class KeyUse(StrEnum):
    """How keys with a sign (letters, digits, punctuation) act on the pages (WCAG 2.1.4). ALT: only with the Alt key."""

    ON = "on"
    ALT = "alt"
    OFF = "off"


@dataclass(frozen=True)
class Account:
    """Somebody who may sign in.

    name: lower case, see ``account_name``. password_hash: an Argon2 hash; None: nobody signs in by password.
    subject: what the site's identity provider calls the person, "issuer subject"; None: no sign-in through it.
    keys: how the keys of the pages act for the person.
    """

    name: str
    role: Role
    created_at: datetime
    password_hash: str | None = None
    subject: str | None = None
    disabled: bool = False
    keys: KeyUse = KeyUse.ON


@dataclass(frozen=True)
class WebSession:
    """Somebody who signed in. seen_at: the last thing the person did; ends_at: nothing prolongs it beyond."""

    token_hash: str
    account: str
    opened_at: datetime
    seen_at: datetime
    ends_at: datetime


@dataclass(frozen=True)
class Device:
    """A browser in which somebody signed in before: failures elsewhere do not slow it down. seen_at: the last time."""

    token_hash: str
    account: str
    seen_at: datetime


@dataclass(frozen=True)
class PersonalToken:
    """What lets a program ask the API in somebody's name.

    key: what it is called in lists; it is no secret. used_at: to the minute; None: never.
    """

    key: str
    token_hash: str
    account: str
    label: str
    scopes: frozenset[TokenScope]
    created_at: datetime
    ends_at: datetime
    used_at: datetime | None = None


def account_name(text: str) -> str:
    """A name as it is stored.

    Raises:
        Misconfigured: it has other characters than letters, digits and . _ @ -, or more than 64.
    """
    name = text.strip().lower()
    if not NAME.match(name):
        raise Misconfigured("NAME: 1 to 64 of the characters a-z 0-9 . _ @ -, the first one a letter or a digit")
    return name


class Accounts(Protocol):
    """Every method is one transaction and may raise errors.Transient."""

    def any_account(self) -> bool:
        """Was an account ever made, whether disabled or not?"""

    def account(self, name: str) -> Account | None: ...

    def account_of_subject(self, subject: str) -> Account | None: ...

    def accounts(self) -> list[Account]:
        """By name."""

    def add_account(self, account: Account) -> bool:
        """False: the name is taken, and nothing changes."""

    def change_account(self, account: Account) -> bool:
        """Store what may change (all but name and created_at); False: there is no such account."""

    def use_keys(self, account: str, keys: KeyUse) -> None:
        """Nothing else of the account changes."""

    def open_session(self, session: WebSession) -> None:
        """Store it, and remove what has ended of all sessions."""

    def session(self, token_hash: str) -> tuple[WebSession, Account] | None:
        """A session and whose it is; None: it is unknown, or was ended."""

    def sessions(self, account: str) -> list[WebSession]:
        """The newest first."""

    def touch_session(self, token_hash: str, *, seen_at: datetime) -> None:
        """The person did something."""

    def end_session(self, token_hash: str) -> None: ...

    def end_sessions(self, account: str) -> int:
        """All of an account, with the devices that are known for it; how many sessions."""

    def remember_device(self, device: Device) -> None:
        """Store it, or when it was seen last. Remove those that nobody signed in with for DEVICE_KEPT, and of the
        account all but the newest MOST_DEVICES."""

    def device(self, token_hash: str) -> Device | None: ...

    def add_token(self, token: PersonalToken) -> None:
        """Store it, and remove what has ended of all tokens."""

    def token(self, token_hash: str) -> tuple[PersonalToken, Account] | None:
        """A token and whose it is; None: it is unknown, or was ended."""

    def tokens(self, account: str) -> list[PersonalToken]:
        """The newest first."""

    def touch_token(self, key: str, *, used_at: datetime) -> None: ...

    def end_token(self, account: str, key: str) -> bool:
        """False: the account has no such token."""

    def end_tokens(self, account: str) -> int:
        """All of an account; how many."""


def disabled(account: Account, accounts: Accounts) -> None:
    """Close an account and everything that is open in its name."""
    accounts.change_account(replace(account, disabled=True))
    accounts.end_sessions(account.name)
    accounts.end_tokens(account.name)
