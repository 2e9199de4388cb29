"""The site's identity provider (OpenID Connect) as this program asks it: a sign-in there in, who it was out.

The code flow with PKCE (RFC 7636). What the provider says counts only with its signature, our issuer, our client ID and
the nonce of this very sign-in.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from triage.errors import Transient
from workers.access_ports import Role
from workers.destination_settings import never_in_clear
from workers.log import brief, get_logger
from workers.remote import tls
from workers.remote.http import secret_in
from workers.web_settings import ProviderSettings

log = get_logger(__name__)

ALGORITHMS = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
)  # never none, HS*
DESCRIPTION_S, KEYS_S = 3600.0, 60.0  # how long its description is kept; how often an unknown key is looked for
CLOCKS_S = 60  # its clock and ours may differ by this much
AT_ONCE = 4  # sign-ins that ask it at the same time: threads stay for the readers
WANTED_CLAIMS = json.dumps({"id_token": {"auth_time": {"essential": True}}})
SAYS_NO_TIME = "the administrator switches on the claim auth_time there (docs/pacs-administrator.md)"
STRONGEST_FIRST = (Role.ADMINISTRATOR, Role.READER, Role.SERVICE)


class NotProved(Exception):  # noqa: N818 - an answer, not a fault
    """The provider did not say, in a way that can be believed, who it was."""


@dataclass(frozen=True)
class ProviderSignIn:
    """One sign-in that began. asked_at: when; anew: the provider must ask for the password again."""

    state: str
    nonce: str
    verifier: str
    back: str
    asked_at: datetime
    anew: bool


@dataclass(frozen=True)
class ProvidedIdentity:
    """Who signed in. subject: "issuer sub", what an account is found by. name: as the claim has it. role: None: none of
    the person's groups has a role here."""

    subject: str
    name: str
    role: Role | None


class Provider:
    """Safe to share between threads. Every question may raise errors.Transient."""

    def __init__(
        self, settings: ProviderSettings, *, now: Callable[[], datetime], client: httpx.Client | None = None
    ) -> None:
        self.settings = settings
        self._now = now
        self._lock, self._slots = threading.Lock(), threading.BoundedSemaphore(AT_ONCE)
        self._client = client
        self._description: tuple[datetime, Mapping[str, Any]] | None = None
        self._keys: tuple[datetime, KeySet] | None = None

    def address(self, one: ProviderSignIn) -> str:
        """Where the browser goes to sign in.

        Raises:
            Transient: the provider is away.
        """
        described = self._described()
        again = {"prompt": "login", "max_age": "0"} if one.anew else {}
        if one.anew and described.get("claims_parameter_supported") is True:
            again["claims"] = WANTED_CLAIMS  # some say it only when it is asked for by name
        address: str = prepare_grant_uri(
            described["authorization_endpoint"],
            self.settings.client_id,
            "code",
            redirect_uri=one.back,
            scope=list(self.settings.scopes),
            state=one.state,
            nonce=one.nonce,
            code_challenge=create_s256_code_challenge(one.verifier),
            code_challenge_method="S256",
            **again,
        )
        return address

    def identity(self, code: str, said_issuer: str | None, one: ProviderSignIn) -> ProvidedIdentity:
        """Who signed in, for the code that the browser brought.

        Args:
            said_issuer: what the address said about its sender (RFC 9207); None: nothing.

        Raises:
            NotProved: the answer cannot be believed.
            Transient: the provider is away, or too many sign in.
        """
        described = self._described()
        must_say = described.get("authorization_response_iss_parameter_supported") is True
        if said_issuer != self.settings.issuer and (said_issuer is not None or must_say):
            raise NotProved("the answer comes from another provider")
        if not self._slots.acquire(blocking=False):
            raise Transient("too many people sign in at this moment")
        try:
            tokens = self._exchanged(code, one)
            claims = self._claims(str(tokens.get("id_token", "")), tokens, one)
            more = self._user_info(tokens, claims)
        finally:
            self._slots.release()
        values = more | claims
        name = values.get(self.settings.name_claim)
        subject = f"{self.settings.issuer} {claims['sub']}"
        return ProvidedIdentity(subject, name if isinstance(name, str) else "", self._role(values))

    def _role(self, values: Mapping[str, Any]) -> Role | None:
        said = _at(values, self.settings.role_claim)
        groups = [said] if isinstance(said, str) else said if isinstance(said, Sequence) else []
        roles = {
            self.settings.roles[group] for group in groups if isinstance(group, str) and group in self.settings.roles
        }
        return next((role for role in STRONGEST_FIRST if role.value in roles), None)

    def _exchanged(self, code: str, one: ProviderSignIn) -> Mapping[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": one.back,
            "code_verifier": one.verifier,
        }
        client_id, auth = self.settings.client_id, None
        if self.settings.client_secret_file is None:
            form["client_id"] = client_id
        else:
            secret = secret_in(self.settings.client_secret_file)
            if "client_secret_basic" in self._described().get(
                "token_endpoint_auth_methods_supported", ["client_secret_basic"]
            ):
                auth = httpx.BasicAuth(quote(client_id, safe=""), quote(secret, safe=""))  # RFC 6749 section 2.3.1
            else:
                form |= {"client_id": client_id, "client_secret": secret}
        return self._asked("POST", self._described()["token_endpoint"], data=form, auth=auth)

    def _claims(self, token: str, tokens: Mapping[str, Any], one: ProviderSignIn) -> dict[str, Any]:
        """Raises:
        NotProved: signature, issuer, audience, nonce or time is wrong.
        """
        try:
            decoded = self._decoded(token)
            claims = CodeIDToken(
                decoded.claims,
                decoded.header,
                options={"iss": {"value": self.settings.issuer}, "aud": {"value": self.settings.client_id}},
                params={
                    "nonce": one.nonce,
                    "client_id": self.settings.client_id,
                    "access_token": tokens.get("access_token"),
                },
            )
            claims.validate(now=int(self._now().timestamp()), leeway=CLOCKS_S)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise NotProved(f"the token of the provider is not valid ({brief(error)})") from error
        if one.anew:
            self._require_asked(claims.get("auth_time"), one.asked_at)
        if not isinstance(claims.get("sub"), str) or not claims["sub"]:
            raise NotProved("the provider does not say who it was")
        return dict(claims)

    def _require_asked(self, auth_time: object, asked_at: datetime) -> None:
        """Does nothing when the password was asked for in this sign-in.

        That a new token came proves nothing: who sits before a locked page can take ``prompt`` out of the address. Only
        where the site accepts a session at the provider anyway, a provider that does not say the time is believed.

        Raises:
            NotProved: it was not, or the provider does not say.
        """
        if auth_time is None and not self.settings.ask_again:
            return
        if not isinstance(auth_time, (int, float)):
            log.warning("web.provider_says_no_time", advice=SAYS_NO_TIME)
            raise NotProved(f"the provider does not say when it asked for the password; {SAYS_NO_TIME}")
        if auth_time < asked_at.timestamp() - CLOCKS_S:
            raise NotProved("the provider did not ask for the password again")

    def _decoded(self, token: str) -> jwt.Token:
        """Once more with new keys when the provider has changed them."""
        try:
            return jwt.decode(token, self._key_set(), algorithms=ALGORITHMS)
        except (JoseError, ValueError):
            if self._keys is not None and self._now() - self._keys[0] < timedelta(seconds=KEYS_S):
                raise
            self._keys = None
            return jwt.decode(token, self._key_set(), algorithms=ALGORITHMS)

    def _user_info(self, tokens: Mapping[str, Any], claims: Mapping[str, Any]) -> dict[str, Any]:
        """What it says beside the token, when the token lacks the name or the groups."""
        lacks = claims.get(self.settings.name_claim) is None or _at(claims, self.settings.role_claim) is None
        address, access = self._described().get("userinfo_endpoint"), tokens.get("access_token")
        if not lacks or not address or not access:
            return {}
        said = dict(self._asked("GET", address, headers={"Authorization": f"Bearer {access}"}))
        if said.get("sub") != claims["sub"]:
            raise NotProved("the answers of the provider name two people")
        return said

    def _described(self) -> Mapping[str, Any]:
        known = self._description
        if known is not None and self._now() - known[0] < timedelta(seconds=DESCRIPTION_S):
            return known[1]
        found = self._asked("GET", f"{self.settings.issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != self.settings.issuer:
            raise Transient(f"web.provider.issuer: the provider calls itself {found.get('issuer')!r}")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            _require_safe(name, found.get(name))
        if found.get("userinfo_endpoint") is not None:
            _require_safe("userinfo_endpoint", found["userinfo_endpoint"])
        self._description = (self._now(), found)
        return found

    def _key_set(self) -> KeySet:
        if self._keys is None:
            self._keys = (self._now(), KeySet.import_key_set(dict(self._asked("GET", self._described()["jwks_uri"]))))  # type: ignore[arg-type]
        return self._keys[1]

    def _asked(self, method: str, address: str, **sent: Any) -> Mapping[str, Any]:
        """Raises:
        NotProved: it refuses. Transient: it is away, or its answer cannot be read.
        """
        try:
            answer = self._open().request(method, address, **sent)
            said = answer.json()
        except (httpx.HTTPError, ValueError, OSError) as error:
            log.warning("web.provider_away", error=brief(error))
            raise Transient("the identity provider cannot be reached now") from error
        if answer.status_code >= 500 or not isinstance(said, dict):
            raise Transient("the identity provider cannot be reached now")
        if not answer.is_success:
            raise NotProved(f"the provider refuses ({answer.status_code} {str(said.get('error', ''))[:40]!r})")
        return said

    def _open(self) -> httpx.Client:
        with self._lock:
            if self._client is None:
                ca = self.settings.tls
                verify = True if ca is None else tls.client_context(ca)
                self._client = httpx.Client(verify=verify, timeout=self.settings.timeout_s, follow_redirects=False)
            return self._client


def _require_safe(name: str, address: object) -> None:
    try:
        never_in_clear(str(address))
    except ValueError as error:
        raise Transient(f"web.provider: {name} of the provider cannot be used: {error}") from error


def _at(values: Mapping[str, Any], path: str) -> Any:
    """A claim by its name, or by a path such as realm_access.roles."""
    if path in values:
        return values[path]
    found: Any = values
    for name in path.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(name)
    return found
