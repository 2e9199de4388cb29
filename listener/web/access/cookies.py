"""Names and values of the cookies, and the token against forged requests that belongs to each of them."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping

from workers.access_ports import DEVICE_KEPT

SESSION, DEVICE, VISITOR = "icansee-session", "icansee-device", "icansee-visitor"
FLOW = "icansee-flow"  # a sign-in at the identity provider that has begun
DEVICE_S = int(DEVICE_KEPT.total_seconds())
FLOW_S = 600  # so long may a sign-in at the provider take
LONGEST = {SESSION: 200, DEVICE: 200, VISITOR: 200, FLOW: 1200}  # no value of ours has more characters


def new_token() -> str:
    return secrets.token_urlsafe(32)


def hashed(token: str) -> str:
    """What is stored of a token: 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()


def csrf_of(token: str) -> str:
    """The token that a form must send back; it belongs to one session (or visitor) and does not betray the cookie."""
    return hmac.new(token.encode(), b"icansee csrf", hashlib.sha256).hexdigest()


def name_of(cookie: str, *, secure: bool) -> str:
    """Over TLS a browser accepts the name only from this very host, over TLS, for every path."""
    return f"__Host-{cookie}" if secure else cookie


def read(header: str | None, *, secure: bool) -> Mapping[str, str]:
    """Our cookies in a request, by their plain names. Those of other applications of the host may hold anything."""
    parts = (part.partition("=") for part in (header or "").split(";"))
    jar = {name.strip(): value.strip() for name, _, value in parts}
    ours = {cookie: jar.get(name_of(cookie, secure=secure), "") for cookie in LONGEST}
    return {cookie: value for cookie, value in ours.items() if 0 < len(value) <= LONGEST[cookie]}


def set_cookie(cookie: str, value: str, *, secure: bool, seconds: int = 0) -> str:
    """A Set-Cookie header. seconds: how long it stays; 0: until the browser is closed, -1: it goes now."""
    parts = [f"{name_of(cookie, secure=secure)}={value}", "Path=/", "HttpOnly", "SameSite=Lax"]
    if secure:
        parts.append("Secure")
    if seconds:
        parts.append(f"Max-Age={max(seconds, 0)}")
    return "; ".join(parts)
