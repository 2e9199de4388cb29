"""An association request in, who it proves to be beside its address and AE title out."""

from __future__ import annotations

import hashlib
import ssl
from typing import Any

from listener.associations.admission import Identity

USERNAME, USERNAME_AND_PASSCODE = 1, 2  # PS3.7 section D.3.3.7.1


def of(association: Any) -> Identity:
    """The verified client certificate of the connection, and the user identity of the request."""
    digest, name = _certificate(getattr(association.dul.socket, "socket", None))
    user, passcode = _user(association.requestor.user_identity)
    return Identity(digest, name, user, passcode)


def _certificate(connection: Any) -> tuple[str | None, str | None]:
    """(SHA-256, common name); the library fills the subject only of a certificate that it has verified."""
    if not isinstance(connection, ssl.SSLSocket):
        return None, None
    encoded = connection.getpeercert(binary_form=True)
    if encoded is None:
        return None, None
    subject: Any = (connection.getpeercert() or {}).get("subject", ())
    names = [value for part in subject for key, value in part if key == "commonName"]
    return hashlib.sha256(encoded).hexdigest(), names[0] if len(names) == 1 else None


def _user(item: Any) -> tuple[str | None, str | None]:
    if item is None or item.user_identity_type not in (USERNAME, USERNAME_AND_PASSCODE):
        return None, None
    user = bytes(item.primary_field or b"").decode("utf-8", "replace")
    passcode = bytes(item.secondary_field or b"").decode("utf-8", "replace")
    return user, passcode if item.user_identity_type == USERNAME_AND_PASSCODE else None
