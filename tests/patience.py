"""How long tests wait for what must happen. Other work may share the machine, and a slow step is no fault: only a test
that fails waits so long."""

from __future__ import annotations

PATIENCE_S = 300.0  # a test as a whole has 600 s (pyproject.toml)
