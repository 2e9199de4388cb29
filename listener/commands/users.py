"""Commands about who may use the web application: users add | list | password | role | disable | enable, and
users sessions list | revoke, users tokens add | list | revoke."""

from __future__ import annotations

import secrets
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from listener.commands.common import ConfigOption, JsonFlag, as_the_node, load_settings, out, print_json, quiet_logging
from triage.errors import Misconfigured
from workers.access_ports import Account, Accounts, Role, TokenScope, account_name, disabled
from workers.config import Settings

users = typer.Typer(help="Who may use the web application.", no_args_is_help=True)
sessions = typer.Typer(help="Who is signed in.", no_args_is_help=True)
users.add_typer(sessions, name="sessions")
tokens = typer.Typer(help="Tokens with which programs ask the API in the name of an account.", no_args_is_help=True)
users.add_typer(tokens, name="tokens")

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="name of the account; lower case")]
RoleOption = Annotated[
    Role,
    typer.Option(
        "--role", help="reader: patients; administrator: everything; service: how the node works, and no patient"
    ),
]
StdinFlag = Annotated[bool, typer.Option("--password-stdin", help="the password is the first line of stdin")]
GenerateFlag = Annotated[bool, typer.Option("--generate", help="make a password and print it once")]
NoPasswordFlag = Annotated[
    bool, typer.Option("--no-password", help="no password: for sign-in through the site's identity provider")
]


@users.command("add")
def add_user(
    name: NameArgument,
    role: RoleOption = Role.READER,
    config: ConfigOption = None,
    from_stdin: StdinFlag = False,
    generate: GenerateFlag = False,
    no_password: NoPasswordFlag = False,
) -> None:
    """Make an account. With the first one the page asks everybody to sign in."""
    settings, name = _settings(config), account_name(name)
    accounts = _open(settings)
    if accounts.account(name) is not None:
        raise Misconfigured(f"NAME: there is an account {name} already")
    stored = None if no_password else _new_hash(name, from_stdin, generate)
    from listener.web.access.people import accounts_mark

    mark = accounts_mark(settings)
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()
    if not accounts.add_account(Account(name, role, datetime.now(UTC), password_hash=stored)):
        raise Misconfigured(f"NAME: there is an account {name} already")
    out().print(f"{name} may sign in as {role.value}")


@users.command("list")
def list_accounts(config: ConfigOption = None, as_json: JsonFlag = False) -> None:
    """Every account, by name."""
    accounts = _open(_settings(config))
    found = [_facts(one, accounts) for one in accounts.accounts()]
    if as_json:
        print_json(found)
        return
    table = Table("name", "role", "state", "signs in by", "sessions", "made")
    for facts in found:
        state = "disabled" if facts["disabled"] else "open"
        table.add_row(facts["name"], facts["role"], state, facts["by"], str(facts["sessions"]), facts["created_at"])
    out().print(table)


@users.command("password")
def password(
    name: NameArgument, config: ConfigOption = None, from_stdin: StdinFlag = False, generate: GenerateFlag = False
) -> None:
    """Give an account a new password; all its sessions and tokens end."""
    accounts = _open(_settings(config))
    account = _known(accounts, name)
    accounts.change_account(replace(account, password_hash=_new_hash(account.name, from_stdin, generate)))
    ended = f"{accounts.end_sessions(account.name)} sessions and {accounts.end_tokens(account.name)} tokens ended"
    out().print(f"{account.name} has a new password; {ended}")


@users.command("code")
def code(name: NameArgument, config: ConfigOption = None) -> None:
    """Print a code, good for one day, for a browser in which the person never signed in: with it the attempts of others
    at the same address do not slow the person down. It opens nothing without the password."""
    from listener.web.access.people import code_for

    accounts = _open(_settings(config))
    account = _known(accounts, name)
    text, stored = code_for(account.name, datetime.now(UTC))
    accounts.remember_device(stored)
    out().print(f"code: {text}", markup=False)


@users.command("role")
def change_role(
    name: NameArgument, role: Annotated[Role, typer.Argument(metavar="ROLE")], config: ConfigOption = None
) -> None:
    """Give an account another role; it counts at once."""
    accounts = _open(_settings(config))
    account = _known(accounts, name)
    _keep_an_administrator(accounts, account, stays=role is Role.ADMINISTRATOR)
    accounts.change_account(replace(account, role=role))
    out().print(f"{account.name} is {role.value} now")


@users.command("disable")
def disable(name: NameArgument, config: ConfigOption = None) -> None:
    """Close an account and end all its sessions. What it did stays on record."""
    accounts = _open(_settings(config))
    account = _known(accounts, name)
    _keep_an_administrator(accounts, account, stays=False)
    disabled(account, accounts)
    out().print(f"{account.name} cannot sign in any more; its sessions ended")


@users.command("enable")
def enable(name: NameArgument, config: ConfigOption = None) -> None:
    """Open a closed account again."""
    accounts = _open(_settings(config))
    account = _known(accounts, name)
    accounts.change_account(replace(account, disabled=False))
    out().print(f"{account.name} may sign in")


@sessions.command("list")
def list_sessions(name: NameArgument, config: ConfigOption = None) -> None:
    """The open sessions of an account, the newest first."""
    accounts = _open(_settings(config))
    for one in accounts.sessions(_known(accounts, name).name):
        times = f"{one.opened_at:%Y-%m-%d %H:%M}, last used {one.seen_at:%Y-%m-%d %H:%M}"
        out().print(f"since {times}, ends {one.ends_at:%Y-%m-%d %H:%M} (UTC)")


@sessions.command("revoke")
def revoke_sessions(name: NameArgument, config: ConfigOption = None) -> None:
    """End all sessions of an account at once, and forget the browsers that it knows."""
    accounts = _open(_settings(config))
    account = _known(accounts, name)
    out().print(f"{accounts.end_sessions(account.name)} sessions of {account.name} ended")
    if left := len(accounts.tokens(account.name)):
        out().print(f"{left} tokens go on: `icansee users tokens list {account.name}`")


@tokens.command("add")
def add_token(
    name: NameArgument,
    scopes: Annotated[list[TokenScope], typer.Option("--scope", help="what it may do; give it again for more")],
    label: Annotated[str, typer.Option("--for", help="what it is for")],
    days: Annotated[int, typer.Option("--days", help="days until it ends, at most 366")] = 90,
    config: ConfigOption = None,
) -> None:
    """Make a token of an account and print it once, e.g. for Prometheus: --scope metrics --for prometheus."""
    from listener.web.access.people import made_token

    accounts = _open(_settings(config))
    account = _known(accounts, name)
    text, stored = made_token(account.name, label, scopes, days, datetime.now(UTC))
    accounts.add_token(stored)
    out().print(f"token: {text}", markup=False, soft_wrap=True)
    out().print(f"{stored.key} of {account.name} ends {stored.ends_at:%Y-%m-%d}")


@tokens.command("list")
def list_tokens(name: NameArgument, config: ConfigOption = None) -> None:
    """The tokens of an account, the newest first; never the secret."""
    accounts = _open(_settings(config))
    table = Table("token", "for", "scopes", "ends", "last used")
    for one in accounts.tokens(_known(accounts, name).name):
        used = f"{one.used_at:%Y-%m-%d}" if one.used_at else "never"
        table.add_row(one.key, escape(one.label), " ".join(sorted(one.scopes)), f"{one.ends_at:%Y-%m-%d}", used)
    out().print(table)


@tokens.command("revoke")
def revoke_token(
    name: NameArgument,
    key: Annotated[str, typer.Argument(metavar="TOKEN", help="its first column in `icansee users tokens list`")],
    config: ConfigOption = None,
) -> None:
    """End a token of an account at once."""
    accounts = _open(_settings(config))
    account = _known(accounts, name)
    if not accounts.end_token(account.name, key):
        raise Misconfigured(f"TOKEN: {account.name} has no token {key}")
    out().print(f"{key} of {account.name} is ended")


def _settings(config: Path | None) -> Settings:
    quiet_logging()
    settings = load_settings(config)
    as_the_node(settings)
    return settings


def _open(settings: Settings) -> Accounts:
    """An account may be the first thing that a node gets: the page beyond loopback does not start without."""
    from workers.container import open_accounts

    return open_accounts(settings)


def _known(accounts: Accounts, name: str) -> Account:
    found = accounts.account(account_name(name))
    if found is None:
        raise Misconfigured(f"NAME: there is no account {account_name(name)}")
    return found


def _keep_an_administrator(accounts: Accounts, account: Account, *, stays: bool) -> None:
    """Raises:
    Misconfigured: nobody would be left who may change anything.
    """
    others = [one for one in accounts.accounts() if one.role is Role.ADMINISTRATOR and one.name != account.name]
    if account.role is Role.ADMINISTRATOR and not stays and all(one.disabled for one in others):
        raise Misconfigured(f"NAME: {account.name} is the last administrator; make another one first")


def _new_hash(name: str, from_stdin: bool, generate: bool) -> str:
    from listener.web.access.passwords import Passwords

    if generate:
        chosen = secrets.token_urlsafe(15)
    elif from_stdin:
        chosen = sys.stdin.readline().rstrip("\r\n")
    elif sys.stdin.isatty():
        chosen = typer.prompt(f"Password of {name}", hide_input=True, confirmation_prompt=True)
    else:
        raise Misconfigured("password: this is no terminal; use --password-stdin or --generate")
    if chosen.lower() == name:
        raise Misconfigured("password: it must not be the name")
    made = Passwords().made(chosen)
    if generate:
        out().print(f"password: {chosen}", markup=False)
    return made


def _facts(account: Account, accounts: Accounts) -> dict[str, Any]:
    ways = [way for way, has in (("password", account.password_hash), ("provider", account.subject)) if has]
    return {
        "name": account.name,
        "role": account.role.value,
        "disabled": account.disabled,
        "by": ", ".join(ways) or "-",
        "sessions": len(accounts.sessions(account.name)),
        "created_at": f"{account.created_at:%Y-%m-%d}",
    }
