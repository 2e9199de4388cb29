"""What every process of the node loads at its start: the words of all commands, and not what one of them needs."""

from __future__ import annotations

import json
import subprocess
import sys

HEAVY = (
    "highdicom",
    "pydicom",
    "pynetdicom",
    "matplotlib",
    "sqlalchemy",
    "celery",
    "fastapi",
    "cel_expr_python",
    "argon2",
)


def test_the_words_load_no_library_that_a_single_command_needs() -> None:
    program = "import json, sys, listener.commands.main; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = json.loads(done.stdout)
    assert "listener.commands.rules" in loaded
    assert [name for name in HEAVY if name in loaded] == []
