"""What surrounds every page: its theme, its place in the navigation, and who looks. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

THEME_COOKIE = "icansee-theme"
THEMES = ("dark", "light", "auto")  # auto: as the browser says it prefers; the first is the usual one
PLACES = (
    ("worklist", "/", "Worklist"),
    ("agreement", "/agreement", "Agreement"),
    ("operations", "/operations", "Operations"),
)


@dataclass(frozen=True)
class PageFrame:
    """theme: one of THEMES. place: the entry of the navigation that is open, "" for none. account: who is signed in.

    csrf: what forms of the page send back, see listener.web.access.who.Person.
    """

    theme: str = THEMES[0]
    place: str = ""
    account: str | None = None
    csrf: str = ""

    @property
    def places(self) -> tuple[tuple[str, str, str], ...]:
        """(name, path, words) of the navigation."""
        return PLACES

    @property
    def themes(self) -> tuple[str, ...]:
        return THEMES


NOBODY = PageFrame()


def frame_for(cookies: Mapping[str, str], place: str = "", account: str | None = None, csrf: str = "") -> PageFrame:
    """The frame that a browser with these cookies gets. A cookie that names no theme counts as none."""
    theme = cookies.get(THEME_COOKIE, THEMES[0])
    return PageFrame(theme if theme in THEMES else THEMES[0], place, account, csrf)
