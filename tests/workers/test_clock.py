"""The zone of the machine: told when somebody set it."""

from __future__ import annotations

from pathlib import Path

import pytest

from workers import clock


@pytest.mark.parametrize(
    ("stated", "link", "name"),
    [
        pytest.param("Europe/Berlin", None, "Europe/Berlin", id="by the environment"),
        pytest.param(":Europe/Berlin", None, "Europe/Berlin", id="the same with a colon"),
        pytest.param(None, "/usr/share/zoneinfo/Asia/Kolkata", "Asia/Kolkata", id="by the link"),
        pytest.param(None, "../usr/share/zoneinfo/Europe/London", "Europe/London", id="UTC in winter only"),
        pytest.param(None, "/usr/share/zoneinfo/Etc/UTC", "", id="no-op: UTC is what nobody set"),
        pytest.param("UTC", "/usr/share/zoneinfo/Europe/Berlin", "", id="the environment goes first"),
        pytest.param("CET-1CEST,M3.5.0,M10.5.0/3", None, "", id="not measured: a rule without a name"),
        pytest.param(None, None, "", id="not measured: no link"),
    ],
)
def test_the_zone_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stated: str | None, link: str | None, name: str
) -> None:
    local = tmp_path / "localtime"
    if link is not None:
        local.symlink_to(link)
    monkeypatch.setattr(clock, "LOCAL_TIME", local)
    monkeypatch.setenv("TZ", stated) if stated is not None else monkeypatch.delenv("TZ", raising=False)
    assert clock.zone_of_machine() == name
