"""What a command says when something goes wrong, and its exit code."""

from __future__ import annotations

import pytest

from listener.commands import main as cli
from triage.errors import Misconfigured, NotAssessable, Transient


@pytest.mark.parametrize(
    ("error", "said", "code"),
    [
        pytest.param(None, "", 0, id="noop"),
        pytest.param(Misconfigured("index.url: wrong"), "icansee: index.url: wrong\n", 2, id="a wrong request"),
        pytest.param(NotAssessable("no_flair", "no FLAIR"), "icansee: not assessable: ", 3, id="not measured"),
        pytest.param(Transient("away"), "icansee: not possible now: away\n", 1, id="away"),
        pytest.param(
            OSError(28, "No space left on device", "/s/facts/x"),
            "icansee: not possible now: /s/facts/x: No space left on device\n",
            1,
            id="the disk is full",
        ),
        pytest.param(TimeoutError(), "icansee: not possible now: TimeoutError\n", 1, id="without a word of the system"),
        pytest.param(
            ValueError("a name"), "icansee: a fault of the program: ValueError\n", 1, id="a bug says no values"
        ),
    ],
)
def test_what_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception | None, said: str, code: int
) -> None:
    def app() -> None:
        if error is not None:
            raise error

    monkeypatch.setattr(cli, "app", app)
    if code:
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == code
    else:
        cli.main()
    assert capsys.readouterr().err.startswith(said)
