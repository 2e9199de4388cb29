"""make audit: licences by kind, and what real uv makes of a service of vulnerabilities."""

from __future__ import annotations

import http.server
import json
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from scripts.audit_dependencies import (
    CLEAN,
    FOUND,
    NOT_CHECKED,
    Licensed,
    Vulnerability,
    exit_code,
    kind_of,
    licence_of,
    main,
    report,
)
from tests.scripts.test_downloads import UV

NOW = datetime(2026, 5, 6, 7, 8, tzinfo=UTC)
PLAIN = Licensed("a", "1", "MIT", "permissive")
KNOWN = Vulnerability("pydicom", "3.0.2", "PYSEC-1", "reads too much", "99.1")


@pytest.mark.parametrize(
    ("licence", "kind"),
    [
        ("", "unknown"),
        ("MIT", "permissive"),
        ("BSD-3-Clause AND MIT", "permissive"),
        ("LGPL-3.0-only", "weak copyleft"),
        ("Mozilla Public License 2.0 (MPL 2.0)", "weak copyleft"),
        ("GNU General Public License v3 (GPLv3)", "copyleft"),
        ("AGPL-3.0-or-later", "copyleft"),
        ("GPL-3.0-only OR MIT", "permissive"),
        ("Licence of the Ministry of Silly Walks", "unknown"),
    ],
)
def test_kinds_of_licences(licence: str, kind: str) -> None:
    assert kind_of(licence) == kind


@pytest.mark.parametrize(
    ("said", "licence"),
    [
        ({}, ""),
        ({"License-Expression": ["MIT"], "License": ["something long"]}, "MIT"),
        ({"Classifier": ["License :: OSI Approved :: BSD License", "Topic :: X"], "License": ["x"]}, "BSD License"),
        ({"Classifier": ["License :: OSI Approved"], "License": ["ISC\nand a long text"]}, "ISC"),
    ],
)
def test_what_a_package_says(said: dict[str, list[str]], licence: str) -> None:
    assert licence_of(said) == licence


@pytest.mark.parametrize(
    ("found", "known", "code", "words"),
    [
        pytest.param([PLAIN], [], CLEAN, "0 known to OSV (osv.dev) on 2026-05-06 07:08 UTC", id="noop: nothing"),
        pytest.param([PLAIN], [KNOWN], FOUND, "pydicom 3.0.2: PYSEC-1 reads too much (fixed in 99.1)", id="one"),
        pytest.param([PLAIN], None, NOT_CHECKED, "NOT CHECKED, OSV could not be asked: no network", id="not measured"),
        pytest.param([Licensed("b", "2", "?", "unknown")], [], FOUND, "unknown: b 2 (?)", id="a licence to look at"),
        pytest.param([Licensed("b", "2", "LGPL", "weak copyleft")], [], CLEAN, "weak copyleft: b 2", id="to be known"),
    ],
)
def test_the_report(found: list[Licensed], known: list[Vulnerability] | None, code: int, words: str) -> None:
    assert exit_code(found, known) == code
    assert words in "\n".join(report(found, known, why="no network", now=NOW))


class _Osv(http.server.BaseHTTPRequestHandler):
    """The two calls of OSV that uv makes: one vulnerability, of pydicom."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
        known = {"vulns": [{"id": "PYSEC-1", "modified": "2026-01-01T00:00:00Z"}]}
        self._say({"results": [known if one["package"]["name"] == "pydicom" else {} for one in asked]})

    def do_GET(self) -> None:
        events = [{"introduced": "0"}, {"fixed": "99.1"}]
        ranges = [{"type": "ECOSYSTEM", "events": events}]
        affected = [{"package": {"name": "pydicom", "ecosystem": "PyPI"}, "ranges": ranges}]
        said = {"id": "PYSEC-1", "modified": "2026-01-01T00:00:00Z", "summary": "reads too much"}
        self._say(said | {"affected": affected})

    def _say(self, answer: object) -> None:
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def service() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Osv) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_uv_asks_a_service_and_the_report_names_what_it_knows(service: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(UV), "--service-url", service]) == FOUND
    said = capsys.readouterr().out
    assert "vulnerabilities: 1 known to OSV" in said
    assert "PYSEC-1 reads too much (fixed in 99.1)" in said
    assert "0 unknown" not in said
    assert "  copyleft:" not in said


def test_without_a_network_the_report_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # taken, and nobody listens
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/"
        assert main([str(UV), "--service-url", url]) == NOT_CHECKED
    assert "NOT CHECKED, OSV could not be asked" in capsys.readouterr().out
