"""``meterhouse sign-in`` and ``sign-out``, and how every command of a closed shop gets in.

In this order: an API key (``--api-key-file``, METERHOUSE_API_KEY_FILE, METERHOUSE_API_KEY); a
name with METERHOUSE_PASSWORD_FILE; the session of `sign-in`; a question at the keyboard.  A
password is never an argument: arguments are seen by everybody on the machine.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
from click.core import ParameterSource

from commands.output import CliState, console, json_option, print_json

if TYPE_CHECKING:
    from vending import Shop
    from vending.people.credentials import Credentials

API_KEY_VARIABLE: Final = "METERHOUSE_API_KEY"
API_KEY_FILE_VARIABLE: Final = "METERHOUSE_API_KEY_FILE"
PASSWORD_FILE_VARIABLE: Final = "METERHOUSE_PASSWORD_FILE"
_KEY_FILE: Final = "meterhouse.api_key_file"
_SECRET_FILE_MAX: Final = 10_000
_GIVEN: Final = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)

_Command = TypeVar("_Command", bound=Callable[..., Any])


def api_key_option(command: _Command) -> _Command:
    """Give a command ``--api-key-file``; `open_signed_in` finds it in the context."""

    def remember(ctx: click.Context, _parameter: click.Parameter, value: str | None) -> None:
        ctx.meta[_KEY_FILE] = value

    return click.option(
        "--api-key-file",
        metavar="FILE",
        envvar=API_KEY_FILE_VARIABLE,
        show_envvar=True,
        expose_value=False,
        callback=remember,
        help="A program's API key, where the shop has operators.",
    )(command)


def open_signed_in(database: str, open_with: Callable[[Credentials | None], Shop]) -> Shop:
    """Open a shop as whoever stands there.

    Args:
        database: its URL.
        open_with: opens it with credentials; None for an open house.

    Raises:
        SignInRequiredError: nobody is signed in, and nobody can be asked.
        VendingError: the credentials do not open it.
    """
    from vending.people.faults import SignInRequiredError

    given = _given_credentials(database)
    try:
        return open_with(given)
    except SignInRequiredError:
        if _is_program(given) or not _can_ask():
            raise
    return open_with(_asked())


def read_secret_file(path: str) -> str:
    """A secret from a file: its first line."""
    try:
        with Path(path).open(encoding="utf-8") as file:
            return file.read(_SECRET_FILE_MAX).partition("\n")[0].rstrip("\r")
    except (OSError, UnicodeDecodeError):
        raise click.UsageError(f"The file {path} cannot be read, or is no text.") from None


@click.command(name="sign-in")
@click.argument("name")
@click.option("--hours", type=click.IntRange(1, 12), default=12, show_default=True)
@click.option(
    "--database",
    metavar="URL",
    envvar="METERHOUSE_DATABASE_URL",
    default="sqlite:///meterhouse.db",
    show_default=True,
    show_envvar=True,
)
@json_option
def sign_in(name: str, hours: int, database: str, as_json: bool) -> None:
    """Sign NAME in at this till, so that sales need no password for some hours.

    The password is asked for, or read from the file that METERHOUSE_PASSWORD_FILE names.
    """
    from datetime import timedelta

    import vending
    from commands.counter import configure_logs
    from vending.people.credentials import Password

    configure_logs()
    credentials = Password(name, _password(name))
    with vending.Shop.open(database, credentials=credentials) as shop:
        session = shop.people.start_session(timedelta(hours=hours))
        who = shop.people.actor.name
    _remember(database, who, session.token)
    until = session.expires_at.astimezone().strftime("%H:%M")
    if as_json:
        print_json({"operator": who, "expires_at": session.expires_at.isoformat()})
    else:
        console.print(f"{who} is signed in at this till until {until}.", markup=False)


@click.command(name="sign-out")
@click.option(
    "--database",
    metavar="URL",
    envvar="METERHOUSE_DATABASE_URL",
    default="sqlite:///meterhouse.db",
    show_default=True,
    show_envvar=True,
)
@json_option
def sign_out(database: str, as_json: bool) -> None:
    """End the session of this till."""
    import vending
    from commands.counter import configure_logs
    from vending.people.credentials import SessionToken
    from vending.people.faults import SignInRequiredError

    configure_logs()
    known = _remembered(database)
    ended = False
    if known is not None:
        with (
            suppress(SignInRequiredError),
            vending.Shop.open(database, credentials=SessionToken(known[1])) as shop,
        ):
            ended = shop.people.end_session(known[1])
        _session_file(database).unlink(missing_ok=True)
    if as_json:
        print_json({"signed_out": ended})
    else:
        console.print("Signed out." if ended else "Nobody was signed in at this till.")


def _given_credentials(database: str) -> Credentials | None:
    from vending.people.credentials import ApiKey, Password, SessionToken

    ctx = click.get_current_context(silent=True)
    key_file = ctx.meta.get(_KEY_FILE) if ctx else os.environ.get(API_KEY_FILE_VARIABLE)
    if key_file:
        return ApiKey(read_secret_file(key_file))
    if key := os.environ.get(API_KEY_VARIABLE):
        return ApiKey(key)
    name = _named(ctx)
    if name and (password_file := os.environ.get(PASSWORD_FILE_VARIABLE)):
        return Password(name, read_secret_file(password_file))
    known = _remembered(database)
    if known is not None and name in ("", known[0]):
        return SessionToken(known[1])
    return None


def _named(ctx: click.Context | None) -> str:
    """The operator, when somebody named one: a login name is no answer."""
    if ctx is None or "operator" not in ctx.params:
        return os.environ.get("METERHOUSE_OPERATOR", "")
    if ctx.get_parameter_source("operator") in _GIVEN:
        return str(ctx.params["operator"] or "")
    return ""


def _is_program(given: Credentials | None) -> bool:
    from vending.people.credentials import ApiKey

    return isinstance(given, ApiKey)


def _can_ask() -> bool:
    ctx = click.get_current_context(silent=True)
    state = ctx.find_object(CliState) if ctx else None
    return sys.stdin.isatty() and sys.stderr.isatty() and not (state and state.as_json)


def _asked() -> Credentials:
    from vending.people.credentials import Password

    ctx = click.get_current_context(silent=True)
    name = _named(ctx) or click.prompt("Operator", err=True)
    return Password(name, _password(name))


def _password(name: str) -> str:
    if password_file := os.environ.get(PASSWORD_FILE_VARIABLE):
        return read_secret_file(password_file)
    return str(click.prompt(f"Password of {name}", hide_input=True, err=True))


def _remember(database: str, name: str, token: str) -> None:
    path = _session_file(database)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({"operator": name, "token": token}, file)
    fresh.replace(path)


def _remembered(database: str) -> tuple[str, str] | None:
    """Name and token; None when nobody signed in here, or others could have read the file."""
    path = _session_file(database)
    try:
        found = path.stat()
        if found.st_uid != os.getuid() or found.st_mode & 0o077:
            return None
        kept = json.loads(path.read_text(encoding="utf-8"))
        return str(kept["operator"]), str(kept["token"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def state_file(database: str, kind: str) -> Path:
    """This person's own file of a kind, one for each database, wherever the till was started."""
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    name = hashlib.sha256(_absolute(database).encode()).hexdigest()[:16]
    return Path(state) / "meterhouse" / f"{kind}-{name}.json"


def _session_file(database: str) -> Path:
    return state_file(database, "session")


def _absolute(database: str) -> str:
    head, mark, path = database.partition(":///")
    if head.startswith("sqlite") and mark:
        return f"{head}{mark}{Path(path).absolute()}"
    return database
