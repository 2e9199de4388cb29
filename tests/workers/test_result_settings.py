"""The results section: what is accepted of each kind of destination, and what is refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from triage.errors import Misconfigured
from workers.config import Settings, accepted_keys, parse

PACS = {"name": "pacs", "kind": "dicom", "ae_title": "PACS", "host": "10.1.2.3", "outputs": ["sr", "sc"]}
STOW = {"name": "web", "kind": "stow", "url": "https://pacs.hospital/dicom-web", "outputs": ["sr"]}
FOLDER = {"name": "share", "kind": "folder", "path": "/share", "outputs": ["document"]}
S3 = {"name": "bucket", "kind": "s3", "bucket": "results", "outputs": ["document"]}

RIS = {"name": "ris", "kind": "mllp", "host": "ris.hospital", "port": 2575}
EHR = {"name": "ehr", "kind": "fhir", "url": "https://fhir.hospital/r4"}
HOOK = {"name": "pager", "kind": "webhook", "url": "https://pager.hospital/", "key_file": "/k"}
MAIL = {"name": "call", "kind": "mail", "host": "localhost", "sender": "a@b.c", "recipients": ["d@e.f"]}

WORK = {"name": "work", "kind": "ups", "ae_title": "UPS", "host": "10.1.2.4"}
WORK_RS = {"name": "work-web", "kind": "ups_rs", "url": "https://ups.hospital/rs"}


def parsed(*destinations: dict[str, Any]) -> Settings:
    return parse({"results": {"destinations": list(destinations)}})


def test_noop_nobody_gets_anything() -> None:
    assert parse({}).results.destinations == ()


def test_each_kind_is_its_own_class() -> None:
    found = parsed(PACS, STOW, FOLDER, S3, RIS, EHR, HOOK, MAIL, WORK, WORK_RS).results.destinations
    assert [(one.name, one.kind) for one in found] == [
        ("pacs", "dicom"), ("web", "stow"), ("share", "folder"), ("bucket", "s3"),
        ("ris", "mllp"), ("ehr", "fhir"), ("pager", "webhook"), ("call", "mail"),
        ("work", "ups"), ("work-web", "ups_rs"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        pytest.param({**PACS, "kind": "pigeon"}, "pigeon", id="kind"),
        pytest.param({**PACS, "bucket": "x"}, "bucket: unknown key; accepted here: ae_title, commitment", id="key"),
        pytest.param({**PACS, "outputs": ["poem"]}, "outputs.0", id="output"),
        pytest.param({**PACS, "outputs": []}, "outputs", id="no output"),
        pytest.param({**PACS, "name": "../x"}, "name", id="a name that is a path"),
        pytest.param({**PACS, "passcode": "p"}, "needs a user", id="passcode alone"),
        pytest.param({**PACS, "user": "u", "passcode": "p"}, "in clear", id="passcode without TLS"),
        pytest.param({**STOW, "url": "http://pacs.hospital"}, "only https", id="http"),
        pytest.param({**STOW, "url": "https://u:p@pacs.hospital"}, "without user", id="password in the address"),
        pytest.param({**RIS, "outputs": ["sr"]}, "outputs.0", id="DICOM to an HL7 receiver"),
        pytest.param({**PACS, "outputs": ["sr", "oru"]}, "dicom takes no oru; it takes sr, seg", id="HL7 to a PACS"),
        pytest.param({**STOW, "outputs": ["document"]}, "stow takes no document", id="no DICOM object to STOW-RS"),
        pytest.param({**RIS, "picture": "reference"}, "needs picture_url", id="a reference to nothing"),
        pytest.param({**RIS, "receiving_application": "A|B"}, "receiving_application", id="a name with a delimiter"),
        pytest.param({**HOOK, "url": "http://pager.hospital/"}, "only https", id="webhook in clear"),
        pytest.param({**MAIL, "host": "mail.hospital"}, "needs tls", id="mail in clear"),
        pytest.param({**MAIL, "user": "u"}, "need each other", id="a user without a password"),
        pytest.param({**MAIL, "recipients": ["d@e.f\nBcc: x@y.z"]}, "recipients.0", id="a header in an address"),
        pytest.param({**WORK, "user": "u", "passcode": "p"}, "in clear", id="UPS passcode without TLS"),
        pytest.param({**WORK_RS, "outputs": ["sr"]}, "outputs.0", id="DICOM objects to a worklist"),
        pytest.param({**S3, "endpoint": "http://s3.hospital"}, "only https", id="S3 in clear"),
    ],
)
def test_what_is_wrong_is_named(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(Misconfigured, match=r"results\.destinations") as refused:
        parsed(wrong)
    assert said in str(refused.value)
    assert "'p'" not in str(refused.value)


def test_two_destinations_have_two_names() -> None:
    with pytest.raises(Misconfigured, match="the name pacs stands for two of them"):
        parsed(PACS, {**FOLDER, "name": "pacs"})


def test_accepted_keys_of_a_kind() -> None:
    assert "bucket" in accepted_keys(("results", "destinations", 0, "s3"))
