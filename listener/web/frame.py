"""What surrounds every page: its theme, its place in the navigation, and who looks. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from workers.access_ports import KeyUse

THEME_COOKIE = "icansee-theme"
THEMES = ("dark", "light", "auto")  # auto: as the browser says it prefers; the first is the usual one
KEYS_COOKIE = "icansee-keys"  # of a browser without an account; an account has its own
KEY_USES = ((KeyUse.ON, "alone"), (KeyUse.ALT, "only with Alt"), (KeyUse.OFF, "never"))
# key behind g; none for the agreement: "a" alone acknowledges a study
GO = {"worklist": "w", "operations": "o"}
PLACES = (
    ("worklist", "/", "Worklist"),
    ("agreement", "/agreement", "Agreement"),
    ("operations", "/operations", "Operations"),
)


@dataclass(frozen=True)
class PageFrame:
    """theme: one of THEMES. place: the entry of the navigation that is open, "" for none. account: who is signed in.

    csrf: what forms of the page send back, see listener.web.access.who.Person. places: (name, path, words) of the
    navigation. keys: how the keys of the page act.
    """

    theme: str = THEMES[0]
    place: str = ""
    account: str | None = None
    csrf: str = ""
    places: tuple[tuple[str, str, str], ...] = PLACES
    keys: KeyUse = KeyUse.ON

    @property
    def home(self) -> str:
        """The first page that whoever looks may open."""
        return self.places[0][1] if self.places else "/"

    @property
    def go(self) -> Mapping[str, str]:
        return GO

    @property
    def key_uses(self) -> tuple[tuple[KeyUse, str], ...]:
        return KEY_USES

    @property
    def themes(self) -> tuple[str, ...]:
        return THEMES


NOBODY = PageFrame()


def frame_for(cookies: Mapping[str, str], place: str = "", account: str | None = None, csrf: str = "") -> PageFrame:
    """The frame that a browser with these cookies gets. A cookie that names no theme, or no use of keys, counts as
    none."""
    theme, keys = cookies.get(THEME_COOKIE, THEMES[0]), cookies.get(KEYS_COOKIE, "")
    use = KeyUse(keys) if keys in list(KeyUse) else KeyUse.ON
    return PageFrame(theme if theme in THEMES else THEMES[0], place, account, csrf, keys=use)
