"""An HTTP server of the settings in, a client that knows its certificates and tokens out."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx

from triage.errors import Misconfigured
from workers.destination_settings import HttpTarget, OAuthSettings
from workers.remote import tls

EARLY_S = 30.0  # a token is renewed this long before its end
LONGEST_ASKED_S = 86400.0  # no server asks for more in earnest
SHORTEST_S = 60.0  # a token without a stated end counts as valid for this long


def client_of(target: HttpTarget, *, timeout_s: float) -> httpx.Client:
    """A client of the target; redirects are not followed, since they would take results elsewhere.

    Raises:
        Misconfigured: a certificate, a token or a secret cannot be read.
    """
    verify = True if target.tls is None else tls.client_context(target.tls)
    return httpx.Client(verify=verify, timeout=timeout_s, auth=_auth(target), follow_redirects=False)


def _auth(target: HttpTarget) -> httpx.Auth | None:
    if target.oauth is not None:
        verify = True if target.tls is None else tls.client_context(target.tls)
        return ClientCredentials(target.oauth, httpx.Client(verify=verify))
    if target.token_file is not None:
        return BearerToken(secret_in(target.token_file))
    return None


def secret_in(path: Path) -> str:
    """The text of a file without the white space around it.

    Raises:
        Misconfigured: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read ({error.strerror})") from error


def status_text(answer: httpx.Response) -> str:
    """``HTTP 503``, and what a person needs to know beside it. Texts of the server are left out."""
    redirected = " (it redirects to another address, which is not followed)" if answer.is_redirect else ""
    return f"HTTP {answer.status_code}{redirected}"


def is_page(answer: httpx.Response) -> bool:
    """A page for people, e.g. the sign-in of a proxy: the server that was meant did not answer."""
    kind: str = answer.headers.get("Content-Type", "")
    return kind.partition(";")[0].strip().lower() == "text/html"


def asked_pause_s(answer: httpx.Response) -> float | None:
    """For how long the server does not want to be called (Retry-After, RFC 9110 section 10.2.3); None: it says
    nothing. A date counts from the date of the answer, so that clocks need not agree."""
    said = answer.headers.get("Retry-After", "").strip()
    if said.isascii() and said.isdigit():
        return min(float(said), LONGEST_ASKED_S)
    until, now = _date(said), _date(answer.headers.get("Date", "")) or datetime.now(UTC)
    return None if until is None else min(max((until - now).total_seconds(), 0.0), LONGEST_ASKED_S)


def _date(said: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(said)
    except (ValueError, IndexError, TypeError):
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


class BearerToken(httpx.Auth):
    """A token that does not change."""

    def __init__(self, token: str) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request


class ClientCredentials(httpx.Auth):
    """OAuth 2.0 client credentials (RFC 6749 section 4.4): a token is kept until it ends, or is refused once."""

    def __init__(self, settings: OAuthSettings, client: httpx.Client) -> None:
        self._settings, self._client = settings, client
        self._secret = secret_in(settings.client_secret_file)
        self._lock = threading.Lock()
        self._token, self._until = "", 0.0

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = f"Bearer {self._current()}"
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED:
            self._until = 0.0
            request.headers["Authorization"] = f"Bearer {self._current()}"
            yield request

    def _current(self) -> str:
        with self._lock:
            if time.monotonic() >= self._until:
                self._renew()
            return self._token

    def _renew(self) -> None:
        form = {"grant_type": "client_credentials"}
        if self._settings.scope is not None:
            form["scope"] = self._settings.scope
        answer = self._client.post(self._settings.token_url, data=form, auth=(self._settings.client_id, self._secret))
        answer.raise_for_status()
        said = answer.json()
        self._token = str(said["access_token"])
        self._until = time.monotonic() + max(float(said.get("expires_in", SHORTEST_S)) - EARLY_S, EARLY_S)
