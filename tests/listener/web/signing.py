"""A site with accounts, and a browser that signs in to it as a person would."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from fastapi.testclient import TestClient
from httpx import Response

from listener.web.access.passwords import Passwords
from listener.web.access.people import People
from listener.web.app import create_app
from listener.web.site import Site
from tests.fake_index import InMemoryIndex
from tests.fake_worklist import InMemoryWorklist
from tests.fakes import FakeClock
from tests.fakes_access import FakeAccounts
from workers.access_ports import Account, Role
from workers.config import Settings
from workers.outputs.results import ResultFolder
from workers.settings import StoreSettings
from workers.web_settings import WebSettings
from workers.worklist_ports import Deadlines

QUICK = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))  # 8 KiB: tests are no attackers
PASSWORD = "correct horse battery"
PAGE = {"Accept": "text/html"}


class Secured:
    """A site over fakes. Accounts: one of each role, named as the role, all with PASSWORD."""

    def __init__(
        self,
        folder: Path,
        *,
        web: WebSettings | None = None,
        with_accounts: bool = True,
        deadlines: Deadlines | None = None,
        **site: object,
    ) -> None:
        self.index, self.clock, self.accounts = InMemoryIndex(), FakeClock(), FakeAccounts()
        store = StoreSettings(state_dir=folder, min_free_bytes=0)
        self.settings = Settings(store=store, web=web or WebSettings())
        if with_accounts:
            for role in Role:
                made = QUICK.made(PASSWORD)
                self.accounts.add_account(Account(role.value, role, self.clock.now(), password_hash=made))
        self.people = People(self.accounts, self.settings, now=self.clock.now, passwords=QUICK)
        values: dict[str, Any] = {
            "now": self.clock.now,
            "accounts": self.accounts,
            "worklist": InMemoryWorklist(self.index, deadlines),
            **site,
        }
        self.site = Site(self.settings, self.index, ResultFolder(folder / "results"), lambda: "run", **values)
        self.app = create_app(self.site, self.people)

    def browser(self, *, address: str = "127.0.0.1", base_url: str = "http://127.0.0.1") -> Browser:
        return Browser(self.app, address, base_url)

    def signed_in(self, role: Role) -> Browser:
        browser = self.browser()
        assert browser.sign_in(role.value).status_code == 303
        return browser


class Browser(TestClient):
    """Keeps cookies, sends what a browser sends, follows no redirection by itself."""

    def __init__(self, app: Any, address: str, base_url: str) -> None:
        super().__init__(app, base_url=base_url, client=(address, 50_000), follow_redirects=False)
        self.own = base_url

    def page(self, path: str, *, acts: bool = True) -> Response:
        """acts: the person opens the page; otherwise it loads itself again."""
        user = {"Sec-Fetch-User": "?1"} if acts else {}
        return self.get(path, headers={**PAGE, "Sec-Fetch-Site": "same-origin", **user})

    def submit(self, path: str, fields: dict[str, str] | None = None, *, csrf: str | None = None) -> Response:
        """A form of our page, with the token of the page at hand."""
        token = (
            csrf if csrf is not None else csrf_in(self.page("/login").text) or self.get("/api/session").json()["csrf"]
        )
        headers = {**PAGE, "Origin": self.own, "Sec-Fetch-Site": "same-origin"}
        return self.post(path, data={**(fields or {}), "csrf": token}, headers=headers)

    def sign_in(self, name: str, password: str = PASSWORD, **fields: str) -> Response:
        return self.submit("/login", {"name": name, "password": password, **fields})


def csrf_in(page: str) -> str | None:
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', page)
    return None if found is None else found[1]
