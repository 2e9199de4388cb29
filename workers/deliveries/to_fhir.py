"""FHIR bundles to an R4 server: as one transaction, or resource by resource."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import httpx

from workers.alert_settings import FhirDestinationSettings
from workers.deliveries.errors import DeliveryRejected, Unreachable
from workers.delivery_ports import Delivery, Receipt
from workers.log import brief
from workers.plain_text import json_text
from workers.remote.http import asked_pause_s, client_of, status_text

URN, CALLED_BACK = "urn:ietf:rfc:3986", "urn:icansee:99ICANSEE:called-back"  # as workers.outputs.alerts.fhir has them
REQUESTED = "requested"  # nobody has taken it up
PATCH_JSON = {"Content-Type": "application/json-patch+json"}  # FHIR R4 3.1.0.6
# the test keeps a task that somebody takes up at this moment
CANCELLED = json.dumps(
    [
        {"op": "test", "path": "/status", "value": REQUESTED},
        {"op": "replace", "path": "/status", "value": "cancelled"},
    ]
).encode()
IN_ERROR = "urn:icansee:99ICANSEE:in-error"
WRONG = json.dumps([{"op": "replace", "path": "/status", "value": "entered-in-error"}]).encode()
BUSY = (408, 425, 429)
NOT_OFFERED = (404, 405, 501)  # it knows no such resource, or no such request
# Of this very content; everything else passes, or the site can repair it. A conflict (409) is one of two writers at a
# time: HAPI answers so to transactions that meet.
REFUSALS = (400, 410, 412, 413, 415, 422)


class FhirSender:
    """See delivery_ports.Destination.

    Raises:
        Misconfigured: a certificate, a token or a secret cannot be read.
    """

    def __init__(self, settings: FhirDestinationSettings) -> None:
        self._url, self._transaction = settings.url.rstrip("/"), settings.transaction
        self._client = client_of(settings, timeout_s=settings.timeout_s)

    def send(self, delivery: Delivery, file_name: str, media_type: str, content: bytes) -> Receipt:  # noqa: ARG002
        bundle = json.loads(content)
        if "entry" not in bundle:
            said = self._taken_back(bundle)
        elif self._transaction:
            said = _transacted(self._post("", content, {}))
        else:
            said = f"{self._one_by_one(bundle['entry'])} resources"
        return Receipt("; ".join(filter(None, (said, self._called_back(bundle)))), len(content))

    def _taken_back(self, bundle: Any) -> str:
        """Mark the resources of a retracted decision as entered in error; in words.

        Raises:
            DeliveryRejected: the server does not know how, or does not want to.
            Unreachable: it went away meanwhile.
        """
        number = 0
        for tag in (one for one in bundle["meta"]["tag"] if one["system"] == IN_ERROR):
            kind = tag["display"]
            found = self._asked("GET", f"/{kind}", params={"identifier": f"{URN}|{tag['code']}"})
            _check_marked(found)
            for identifier in _ids(found, kind):
                _check_marked(self._asked("PATCH", f"/{kind}/{identifier}", content=WRONG, headers=PATCH_JSON))
                number += 1
        if number == 0:  # somebody must look: what is not found is not taken back
            raise DeliveryRejected("the FHIR server has no resource of the retracted decision")
        return f"{number} resources entered in error"

    def _called_back(self, bundle: Any) -> str:
        """Cancel tasks of earlier decisions that nobody has taken up; in words. The alert has arrived: a server that
        does not know how is no failure.

        Raises:
            Unreachable: it went away meanwhile, or cannot just now: all of it is sent again, and stored once.
        """
        tags = [one for one in bundle.get("meta", {}).get("tag", ()) if one["system"] == CALLED_BACK]
        if not tags:
            return ""
        names = ",".join(f"{URN}|{one['code']}" for one in tags)
        found = _now(self._asked("GET", "/Task", params={"identifier": names, "status": REQUESTED}))
        done, left = 0, 0
        for number in _ids(found, "Task", REQUESTED):
            patched = _now(self._asked("PATCH", f"/Task/{number}", content=CANCELLED, headers=PATCH_JSON))
            done, left = (done + 1, left) if patched.is_success else (done, left + 1)
        said = f"{done} tasks of earlier decisions cancelled" if done else ""
        return said + (f"; {left} could not be cancelled" if left else "")

    def _one_by_one(self, entries: Any) -> int:
        places: dict[str, str] = {}
        for entry in entries:
            resource = _resolved(entry["resource"], places)
            request = entry["request"]
            body = json_text(resource).encode()
            answer = self._post(f"/{request['url']}", body, {"If-None-Exist": request["ifNoneExist"]})
            places[entry["fullUrl"]] = _place(answer, request["url"])
        return len(entries)

    def close(self) -> None:
        """The client keeps its connection for the next study."""

    def _post(self, path: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
        answer = self._asked("POST", path, content=body, headers={"Content-Type": "application/fhir+json", **headers})
        if answer.is_success:
            return answer
        text = status_text(answer)
        if answer.status_code in REFUSALS:
            raise DeliveryRejected(f"the FHIR server refuses the resources: {text}")
        raise Unreachable(f"the FHIR server did not take the resources: {text}", again_after_s=asked_pause_s(answer))

    def _asked(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> httpx.Response:
        accepting = {"Accept": "application/fhir+json", **(headers or {})}
        try:
            return self._client.request(method, self._url + path, headers=accepting, **more)
        except (httpx.HTTPError, OSError, KeyError, ValueError) as error:
            raise Unreachable(f"the FHIR server cannot be reached ({brief(error)})") from error


def _transacted(answer: httpx.Response) -> str:
    """The answer to a transaction in words. HTTP 200 also comes with a proxy's page, or an outcome that is an error.

    Raises:
        Unreachable: it does not say that the resources are stored.
    """
    try:
        said = answer.json()
        is_one = said["resourceType"] == "Bundle" and said["type"] == "transaction-response"
        statuses = [str(one["response"]["status"]) for one in said.get("entry", ())] if is_one else []
    except (ValueError, KeyError, TypeError, AttributeError):
        is_one, statuses = False, []
    text = status_text(answer)
    if not is_one:
        raise Unreachable(f"the FHIR server does not say that it stored the resources: {text}")
    failed = sum(not one.startswith("2") for one in statuses)
    if failed:
        raise Unreachable(f"the FHIR server did not store {failed} of {len(statuses)} resources: {text}")
    return text


def _now(answer: httpx.Response) -> httpx.Response:
    """The answer of a server that answers for now.

    Raises:
        Unreachable: it is busy, or has a fault.
    """
    if answer.status_code in BUSY or (answer.is_server_error and answer.status_code not in NOT_OFFERED):
        said = f"the FHIR server does not cancel the tasks of earlier decisions now: {status_text(answer)}"
        raise Unreachable(said, again_after_s=asked_pause_s(answer))
    return answer


def _check_marked(answer: httpx.Response) -> None:
    """Raise unless the server did what a retraction asks for.

    Raises:
        DeliveryRejected: it cannot, or does not want to.
        Unreachable: it does not do it now.
    """
    if answer.is_success:
        return
    text = status_text(answer)
    if answer.status_code in (*REFUSALS, *NOT_OFFERED):
        raise DeliveryRejected(f"the FHIR server does not mark the resources as entered in error: {text}")
    said = f"the FHIR server does not mark the resources as entered in error now: {text}"
    raise Unreachable(said, again_after_s=asked_pause_s(answer))


def _ids(answer: httpx.Response, kind: str, status: str | None = None) -> list[str]:
    """Of the resources in the answer to a search; none when it is no such answer. status: None: of any."""
    try:
        entries = answer.json().get("entry", ()) if answer.is_success else ()
        found = [one["resource"] for one in entries]
        return [str(one["id"]) for one in found if one["resourceType"] == kind and status in (None, one["status"])]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []


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
