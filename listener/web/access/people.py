"""A name and a password, or the token of a session, in; the person out."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from listener.web.access.cookies import hashed, new_token
from listener.web.access.passwords import KNOWN, Passwords
from listener.web.access.throttle import Throttle, keys_of_attempt, network_of
from triage.errors import Misconfigured, Transient
from workers.access_ports import (
    DEVICE_KEPT,
    Account,
    Accounts,
    Device,
    PersonalToken,
    Role,
    TokenScope,
    WebSession,
    account_name,
)
from workers.log import brief, get_logger
from workers.settings import NodeSettings
from workers.web_settings import WebSettings

log = get_logger(__name__)

CODE_GOOD = timedelta(days=1)
LONGEST_DAYS = 366  # of a personal token
LONGEST_LABEL = 100  # characters
USED_S = 60.0  # the use of a token is written at most so often
MANY_FAILURES = 100  # in a row for one name from one address: an attack, or a forgotten program
NOBODY_YET = (
    "web.host: other machines can reach the page, and there is no account; make one with "
    "`icansee users add NAME --role administrator`"
)


def accounts_mark(settings: NodeSettings) -> Path:
    """Lies beside the images as soon as an account was made: a page whose accounts were lost stays closed."""
    return settings.store.files_dir / "web-accounts"


def made_token(
    account: str, label: str, scopes: Collection[TokenScope], days: int, now: datetime
) -> tuple[str, PersonalToken]:
    """A new token: the text that its owner keeps, and what is stored of it.

    Raises:
        Misconfigured: it has no label or no scope, or would live too long.
    """
    label = " ".join(label.split())
    if not 0 < len(label) <= LONGEST_LABEL or not label.isprintable():
        raise Misconfigured(f"label: 1 to {LONGEST_LABEL} characters that say what the token is for")
    if not scopes:
        raise Misconfigured(f"scopes: at least one of {', '.join(TokenScope)}")
    if not 1 <= days <= LONGEST_DAYS:
        raise Misconfigured(f"days: 1 to {LONGEST_DAYS}")
    key = secrets.token_hex(4)
    text = f"icansee_{key}_{new_token()}"
    return text, PersonalToken(key, hashed(text), account, label, frozenset(scopes), now, now + timedelta(days=days))


@dataclass(frozen=True)
class Workplace:
    """Where somebody signs in. device: the token of the browser, when it has one. visitor: what tells it apart from
    other browsers until then. code: of an administrator, for a browser that is not known."""

    address: str
    device: str | None = None
    visitor: str = ""
    code: str = ""


@dataclass(frozen=True)
class SignedIn:
    """Tokens for the cookies of the browser."""

    account: Account
    session: str
    device: str


@dataclass(frozen=True)
class NotSignedIn:
    """wait_s: the attempt was not looked at, the next one is after this time."""

    wait_s: float = 0.0


@dataclass(frozen=True)
class NotAdmitted:
    """Somebody whom the identity provider knows may not sign in here. why: a sentence for the person."""

    why: str


class People:
    """Accounts and sessions as the pages use them. Safe to share between threads."""

    def __init__(
        self,
        accounts: Accounts,
        settings: NodeSettings,
        *,
        now: Callable[[], datetime],
        passwords: Passwords | None = None,
    ) -> None:
        self.accounts = accounts
        self.web: WebSettings = settings.web
        self.now = now
        self._passwords = passwords or Passwords()
        self._throttle = Throttle()
        self._mark = accounts_mark(settings)
        self._some = False

    def needed(self) -> bool:
        """Must somebody sign in? Not before the first account, on a page that only this machine reaches."""
        self._some = self._some or self.had_accounts() or self.accounts.any_account()
        return self._some or self.web.beyond_loopback or self.web.provider is not None

    def had_accounts(self) -> bool:
        """Was an account ever made on this node?"""
        return self._mark.exists()

    def somebody_can_sign_in(self) -> bool:
        """Raises:
        Transient: the index is away.
        """
        return self.web.provider is not None or self.accounts.any_account()

    def of_session(self, token: str) -> tuple[WebSession, Account] | None:
        """None: the session is unknown, has ended, or its account is closed. It may be locked, see ``locked``."""
        found = self.accounts.session(hashed(token))
        if found is None or found[0].ends_at <= self.now() or found[1].disabled:
            return None
        return found

    def of_token(self, text: str) -> tuple[PersonalToken, Account] | None:
        """None: the token is unknown, has ended, or its account is closed."""
        found, now = self.accounts.token(hashed(text)), self.now()
        if found is None or found[0].ends_at <= now or found[1].disabled:
            return None
        used = found[0].used_at
        if used is None or abs((now - used).total_seconds()) >= USED_S:
            self.accounts.touch_token(found[0].key, used_at=now)
        return found

    def locked(self, session: WebSession) -> bool:
        """Nobody did anything for so long that somebody else may sit there."""
        return self.now() - session.seen_at >= timedelta(seconds=self.web.idle_lock_s)

    def seen(self, session: WebSession) -> None:
        """The person did something just now; it is written at most ten times in the time of the lock. When it cannot be
        written now, the next request tries again."""
        if self.now() - session.seen_at >= timedelta(seconds=self.web.idle_lock_s / 10):
            try:
                self.accounts.touch_session(session.token_hash, seen_at=self.now())
            except Transient as error:
                log.warning("web.activity_not_noted", error=brief(error))

    def sign_in(self, name: str, password: str, place: Workplace) -> SignedIn | NotSignedIn:
        """Check a password and open a session.

        Raises:
            Transient: the index is away, or too many sign in.
        """
        try:
            name, now = account_name(name), self.now()
        except Misconfigured:
            return NotSignedIn()  # no account has it, and nothing is counted under a name of any length
        known = self._known_device(name, place)
        visitor = hashed(place.visitor) if place.visitor else ""
        keys = keys_of_attempt(name, place.address, None if known is None else known.token_hash, visitor)
        wait_s = self._throttle.wait_s(keys, now)
        if wait_s > 0:
            return NotSignedIn(wait_s)
        failures = self._throttle.counted(keys, now)
        try:
            account = self._proved(name, password, KNOWN if known is not None else network_of(place.address))
        except Transient:
            self._throttle.taken_back(keys, succeeded=False)
            raise
        if account is None:
            if failures % MANY_FAILURES == 0:
                log.warning("web.many_failed_sign_ins", failures=failures, address=place.address)
            return NotSignedIn()
        self._throttle.taken_back(keys, succeeded=True)
        if account.password_hash and self._passwords.outdated(account.password_hash):
            self.accounts.change_account(replace(account, password_hash=self._passwords.made(password)))
        return self.opened(account, place)

    def opened(self, account: Account, place: Workplace) -> SignedIn:
        """A new session of an account whose owner has proved to be who he is."""
        session, now = new_token(), self.now()
        ends_at = now + timedelta(seconds=self.web.session_s)
        self.accounts.open_session(WebSession(hashed(session), account.name, now, now, ends_at))
        # a browser has one token, whoever signs in there; one that is no token of ours is replaced
        kept = place.device is not None and len(place.device) == len(new_token())
        device = place.device if kept and place.device is not None else new_token()
        self.accounts.remember_device(Device(_device_key(account.name, device), account.name, now))
        return SignedIn(account, session, device)

    def admitted(self, subject: str, name: str, role: Role | None, place: Workplace) -> SignedIn | NotAdmitted:
        """Open a session for somebody who signed in at the identity provider. The account is made at the first sign-in,
        and has the role that the provider says now.

        Raises:
            Transient: the index is away.
        """
        if role is None:
            if (known := self.accounts.account_of_subject(subject)) is not None:
                self.accounts.end_sessions(known.name)
                self.accounts.end_tokens(known.name)
            return NotAdmitted("You have no role here: ask for one of the groups of web.provider.roles.")
        account = self.accounts.account_of_subject(subject) or self._first_time(subject, name, role)
        if isinstance(account, NotAdmitted):
            return account
        if account.disabled:
            return NotAdmitted("Your account is closed here.")
        if account.role is not role or account.subject != subject:
            account = replace(account, role=role, subject=subject)
            self.accounts.change_account(account)
        return self.opened(account, place)

    def _first_time(self, subject: str, name: str, role: Role) -> Account | NotAdmitted:
        """An account that waits for this person by its name (`icansee users add NAME --no-password`), or a new one.
        Never one that somebody uses: a name at the provider is no proof of who made the account here."""
        try:
            name = account_name(name)
        except Misconfigured:
            return NotAdmitted(f"The identity provider gives no name that an account can have ({name[:64]!r}).")
        known = self.accounts.account(name)
        if known is not None:
            waits = known.password_hash is None and known.subject is None
            return known if waits else NotAdmitted(f"There is an account {name} that belongs to somebody else.")
        self._mark.parent.mkdir(parents=True, exist_ok=True)
        self._mark.touch()
        made = Account(name, role, self.now(), subject=subject)
        return made if self.accounts.add_account(made) else NotAdmitted("Please try again.")

    def sign_out(self, token: str) -> None:
        self.accounts.end_session(hashed(token))

    def _proved(self, name: str, password: str, place: str) -> Account | None:
        account = self.accounts.account(name)
        usable = account is not None and not account.disabled
        fits = self._passwords.fits(account.password_hash if account and usable else None, password, place)
        return account if fits else None

    def _known_device(self, name: str, place: Workplace) -> Device | None:
        keys = [_device_key(name, one) for one in (place.device, place.code.strip()) if one]
        # the last one: of an older program, which knew one account for a browser
        for key in (*keys, *((hashed(place.device),) if place.device else ())):
            found = self.accounts.device(key)
            if found is not None and found.account == name and self.now() - found.seen_at < DEVICE_KEPT:
                return found
        return None


def code_for(account: str, now: datetime) -> tuple[str, Device]:
    """A code with which a browser that nobody knows counts as known for an account, for one day: what its owner types,
    and what is stored of it."""
    code = secrets.token_hex(8)
    return code, Device(_device_key(account, code), account, now - DEVICE_KEPT + CODE_GOOD)


def _device_key(account: str, device: str) -> str:
    """What is stored of a browser that an account knows."""
    return hashed(f"{device} {account}")
