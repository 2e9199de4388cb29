"""Signed JSON to a site's own program: HMAC-SHA256 over time and body, with two keys while they are changed."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable

import httpx

from triage.errors import Misconfigured
from workers.alert_settings import WebhookDestinationSettings
from workers.deliveries.errors import DeliveryRejected, Unreachable
from workers.delivery_ports import Delivery, Receipt
from workers.log import brief
from workers.remote.http import asked_pause_s, client_of, secret_in, status_text

SHORTEST_KEY = 32  # characters: 128 bits written as hexadecimal digits
KNOWN_ALREADY = 409
REFUSALS = (400, 410, 413, 415, 422)  # of this very body; everything else the site can repair


def signature(key: str, timestamp: int, body: bytes) -> str:
    """``v1=`` and the hexadecimal HMAC-SHA256 of ``<timestamp>.<body>``."""
    return "v1=" + hmac.new(key.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


class WebhookSender:
    """See delivery_ports.Destination.

    Args:
        now: seconds since 1970 UTC.

    Raises:
        Misconfigured: a key cannot be read or is too short.
    """

    def __init__(self, settings: WebhookDestinationSettings, now: Callable[[], float] = time.time) -> None:
        self._url, self._now = settings.url, now
        files = [settings.key_file, *([settings.former_key_file] if settings.former_key_file else [])]
        self._keys = [secret_in(file) for file in files]
        if any(len(key) < SHORTEST_KEY for key in self._keys):
            where = f"results.destinations.{settings.name}"
            raise Misconfigured(f"{where}: a key has fewer than {SHORTEST_KEY} characters")
        self._client = client_of(settings, timeout_s=settings.timeout_s)

    def send(self, delivery: Delivery, file_name: str, media_type: str, content: bytes) -> Receipt:  # noqa: ARG002
        timestamp = int(self._now())
        headers = {
            "Content-Type": media_type,
            "ICANSee-Id": str(json.loads(content)["id"]),
            "ICANSee-Timestamp": str(timestamp),
            "ICANSee-Signature": ",".join(signature(key, timestamp, content) for key in self._keys),
        }
        try:
            answer = self._client.post(self._url, content=content, headers=headers)
        except (httpx.HTTPError, OSError, KeyError, ValueError) as error:
            raise Unreachable(f"the receiver cannot be reached ({brief(error)})") from error
        text = status_text(answer)
        if answer.is_success:
            return Receipt(text, len(content))
        if answer.status_code == KNOWN_ALREADY:
            return Receipt(f"{text} (it had it already)", len(content))
        if answer.status_code in REFUSALS:
            raise DeliveryRejected(f"the receiver refuses the alert: {text}")
        raise Unreachable(f"the receiver did not take the alert: {text}", again_after_s=asked_pause_s(answer))

    def close(self) -> None:
        """The client keeps its connection for the next study."""
