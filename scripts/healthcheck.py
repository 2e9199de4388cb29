"""ICANSEE_PROCESS and the settings in; exit code 0 out when that process gives signs of life and does not end again and
again.

``serve``: all processes of the node. The web process must also answer /healthz with success.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import httpx

from listener.node.processes import ProcessVerdict, state_of
from listener.node.running import read_ready, ready_file
from listener.node.supervisor import names_of
from workers import config
from workers.config import Settings

EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what web.host may say: how to reach it from here


def main() -> int:
    name = os.environ.get("ICANSEE_PROCESS", "serve")
    settings = config.load(Path("config.yaml"))
    wanted = ("serve", *names_of(settings)) if name == "serve" else (name,)
    states = {one: state_of(settings.store.state_dir, one).verdict for one in wanted}
    ailing = {one: verdict for one, verdict in states.items() if verdict is not ProcessVerdict.WORKS}
    for one, verdict in ailing.items():
        sys.stderr.write(f"{one}: {verdict.value}\n")
    if not ailing and "web" in wanted:
        return _answers(settings)
    return 1 if ailing else 0


def _answers(settings: Settings) -> int:
    facts = read_ready(ready_file(settings, "web"))
    if facts is None:
        sys.stderr.write("web is not running\n")
        return 1
    secured = settings.web.tls is not None  # the certificate names the host, and we call ourselves
    url = httpx.URL(
        scheme="https" if secured else "http",
        host=EVERY_ADDRESS.get(facts["host"], facts["host"]),
        port=facts["port"],
        path="/healthz",
    )
    # by the name that the page always takes, whatever address it is bound to
    answer = httpx.get(url, headers={"Host": "localhost"}, timeout=5.0, verify=not secured)
    sys.stdout.write(answer.text + "\n")
    return 0 if answer.is_success else 1


if __name__ == "__main__":
    sys.exit(main())
