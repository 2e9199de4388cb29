"""A second independent MLLP client, node-hl7-client from npm: both sides understand each other."""

from __future__ import annotations

import ipaddress
import json
import subprocess
from pathlib import Path

import pytest

from listener.mllp.server import Door
from tests import npm
from tests.listener.mllp.test_server import serving
from tests.patience import PATIENCE_S
from tests.workers.feeds.test_hl7_messages import PID, WORDS, message
from workers.feeds.inbox import Inbox

pytestmark = pytest.mark.server

PACKAGE = "node-hl7-client@3.2.0"
PROGRAM = Path(__file__).with_name("ask.cjs")
LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client's program beside its package, which npm installs here."""
    return npm.beside(tmp_path_factory.mktemp("npm"), PACKAGE, PROGRAM)


def test_the_answers_are_understood(program: Path, tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "inbox", WORDS)
    order = message("OMP^O09", PID, "ORC|NW|77", "TQ1|||||||20240304", "RXO|CART1^CAR-T")
    sent = [
        message("ADT^A40", PID, "MRG|OLD").replace(b"|42|", b"|1|"),
        message("ADT^A40", PID).replace(b"|42|", b"|2|"),
        order.replace(b"|42|", b"|3|"),
    ]
    with serving(Door(inbox.take, LOOPBACK)) as port:
        command = ["node", str(program), str(port), *(json.dumps(one.decode()) for one in sent)]
        found = subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE_S)
    assert json.loads(found.stdout) == [["AA", "1"], ["AE", "2"], ["AA", "3"]]
    assert inbox.waiting() == (2, 0)
