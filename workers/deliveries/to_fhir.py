"""FHIR bundles to an R4 server: as one transaction, or resource by resource."""

from __future__ import annotations

import json
from typing import Any

import httpx

from workers.alert_settings import FhirDestinationSettings
from workers.deliveries.errors import DeliveryRejected, Unreachable
from workers.delivery_ports import Delivery, Receipt
from workers.log import brief
from workers.remote.http import client_of

REFUSALS = (400, 409, 410, 412, 413, 415, 422)  # of this very content; everything else the site can repair


class FhirSender:
    """See delivery_ports.Destination.

    Raises:
        Misconfigured: a certificate, a token or a secret cannot be read.
    """

    def __init__(self, settings: FhirDestinationSettings) -> None:
        self._url, self._transaction = settings.url.rstrip("/"), settings.transaction
        self._client = client_of(settings, timeout_s=settings.timeout_s)

    def send(self, delivery: Delivery, file_name: str, media_type: str, content: bytes) -> Receipt:  # noqa: ARG002
        if self._transaction:
            answer = self._post("", content, {})
            return Receipt(f"HTTP {answer.status_code}", len(content))
        entries = json.loads(content)["entry"]
        places: dict[str, str] = {}
        for entry in entries:
            resource = _resolved(entry["resource"], places)
            request = entry["request"]
            body = json.dumps(resource, ensure_ascii=False).encode()
            answer = self._post(f"/{request['url']}", body, {"If-None-Exist": request["ifNoneExist"]})
            places[entry["fullUrl"]] = _place(answer, request["url"])
        return Receipt(f"{len(entries)} resources", len(content))

    def close(self) -> None:
        """The client keeps its connection for the next study."""

    def _post(self, path: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
        headers = {"Content-Type": "application/fhir+json", "Accept": "application/fhir+json", **headers}
        try:
            answer = self._client.post(self._url + path, content=body, headers=headers)
        except (httpx.HTTPError, OSError, KeyError, ValueError) as error:
            raise Unreachable(f"the FHIR server cannot be reached ({brief(error)})") from error
        if answer.is_success:
            return answer
        text = f"HTTP {answer.status_code}"
        if answer.status_code in REFUSALS:
            raise DeliveryRejected(f"the FHIR server refuses the resources: {text}")
        raise Unreachable(f"the FHIR server did not take the resources: {text}")


def _resolved(resource: Any, places: dict[str, str]) -> Any:
    """The resource with references to what was created before."""
    if isinstance(resource, list):
        return [_resolved(one, places) for one in resource]
    if isinstance(resource, dict):
        return {
            key: places.get(value, value) if key == "reference" and isinstance(value, str) else _resolved(value, places)
            for key, value in resource.items()
        }
    return resource


def _place(answer: httpx.Response, kind: str) -> str:
    """``Observation/17``: from the Location of what was created, or the resource that was there already.

    Raises:
        Unreachable: the answer names none.
    """
    parts = answer.headers.get("Location", "").split("/")
    if kind in parts and (after := parts.index(kind) + 1) < len(parts):
        return f"{kind}/{parts[after]}"
    try:
        return f"{kind}/{answer.json()['id']}"
    except (ValueError, KeyError, TypeError) as error:
        raise Unreachable("the FHIR server does not say what it stored where") from error
