"""ICANSEE_PROCESS and the settings in; exit code 0 out when that process has announced itself and is alive.

The web process must also answer /healthz with success.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import httpx

from listener.node.running import read_ready, ready_file
from workers import config


def main() -> int:
    name = os.environ.get("ICANSEE_PROCESS", "serve")
    settings = config.load(Path("config.yaml"))
    facts = read_ready(ready_file(settings, name))
    if facts is None:
        sys.stderr.write(f"{name} is not running\n")
        return 1
    if name == "web":
        answer = httpx.get(f"http://127.0.0.1:{facts['port']}/healthz", timeout=5.0)
        sys.stdout.write(answer.text + "\n")
        return 0 if answer.is_success else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
