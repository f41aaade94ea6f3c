"""``meterhouse operator`` and ``api-key``: who may do what in a shop."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from commands.counter import database_option, open_shop
from commands.output import console, json_option, print_json
from commands.sign_in import read_secret_file

if TYPE_CHECKING:
    from vending.people.api_keys import ApiKeyEntry
    from vending.people.operators import Operator

_ROLES = "clerk kiosk engineer supervisor accountant key_custodian auditor administrator".split()
_role_option = click.option(
    "--role",
    "roles",
    multiple=True,
    required=True,
    type=click.Choice(_ROLES),
    help="A role; repeat it for several.",
)
_reason_option = click.option("--reason", required=True, help="Why; stands in the audit trail.")
_password_file_option = click.option(
    "--password-file", metavar="FILE", help="Its first line is the password. [default: asked]"
)


@click.group()
def operator() -> None:
    """Operators: add, list, disable, enable, roles, password.

    A shop without operators is an open house. The first operator must be an administrator; from
    then on everybody signs in.
    """


@operator.command()
@click.argument("name")
@_role_option
@click.option("--vendor", "vendor_id", type=int, metavar="NUMBER", help="Whom they work for.")
@_password_file_option
@database_option
@json_option
def add(
    name: str,
    roles: tuple[str, ...],
    vendor_id: int | None,
    password_file: str | None,
    database: str,
    as_json: bool,
) -> None:
    """Let NAME in, with a password that is asked for."""
    with open_shop(database) as shop:
        was_open = shop.people.actor.is_anybody
        password = _new_password(name, password_file)
        added = shop.people.add_operator(name, password, roles, vendor_id=vendor_id)
    if as_json:
        print_json(_operator_object(added))
        return
    console.print(f"{added.name} may sign in as {', '.join(added.roles)}.", markup=False)
    if was_open:
        console.print(
            f"This shop is no open house any more. Next: meterhouse sign-in {added.name}",
            markup=False,
        )


@operator.command(name="list")
@database_option
@json_option
def list_(database: str, as_json: bool) -> None:
    """Show all operators and their roles."""
    with open_shop(database) as shop:
        found = shop.people.operators()
    if as_json:
        print_json([_operator_object(each) for each in found])
        return
    if not found:
        console.print("No operators: this shop is an open house.")
        return
    table = Table("operator", "roles", "vendor", "")
    for each in found:
        vendor = "" if each.vendor_id is None else str(each.vendor_id)
        table.add_row(
            each.name, ", ".join(each.roles), vendor, "disabled" if each.disabled_at else ""
        )
    console.print(table, markup=False)


@operator.command()
@click.argument("name")
@_reason_option
@database_option
@json_option
def disable(name: str, reason: str, database: str, as_json: bool) -> None:
    """Let NAME in no more."""
    with open_shop(database) as shop:
        shop.people.disable_operator(name, reason)
    _say(as_json, {"operator": name, "disabled": True}, f"{name} may not sign in any more.")


@operator.command()
@click.argument("name")
@_reason_option
@database_option
@json_option
def enable(name: str, reason: str, database: str, as_json: bool) -> None:
    """Let NAME in again."""
    with open_shop(database) as shop:
        shop.people.enable_operator(name, reason)
    _say(as_json, {"operator": name, "disabled": False}, f"{name} may sign in again.")


@operator.command(name="roles")
@click.argument("name")
@_role_option
@_reason_option
@database_option
@json_option
def roles_(name: str, roles: tuple[str, ...], reason: str, database: str, as_json: bool) -> None:
    """Give NAME these roles and no others."""
    with open_shop(database) as shop:
        changed = shop.people.set_roles(name, roles, reason)
    _say(as_json, _operator_object(changed), f"{changed.name} is {', '.join(changed.roles)}.")


@operator.command()
@click.argument("name", required=False)
@click.option("--reason", help="Why, for somebody else's password.")
@_password_file_option
@database_option
@json_option
def password(
    name: str | None, reason: str | None, password_file: str | None, database: str, as_json: bool
) -> None:
    """Change your own password, or give NAME a new one."""
    with open_shop(database) as shop:
        if name is None or name == shop.people.actor.name:
            name = shop.people.actor.name
            old = click.prompt("Password of now", hide_input=True, err=True)
            shop.people.change_password(str(old), _new_password(name, password_file))
        else:
            new = _new_password(name, password_file)
            shop.people.set_password(name, new, reason or "")
    _say(as_json, {"operator": name}, f"{name} has a new password; sign in with it.")


@click.group(name="api-key")
def api_key() -> None:
    """API keys of kiosks and other programs: add, list, revoke."""


@api_key.command(name="add")
@click.argument("client")
@click.option(
    "--role",
    "roles",
    multiple=True,
    type=click.Choice(_ROLES),
    default=["kiosk"],
    show_default=True,
)
@click.option("--vendor", "vendor_id", type=int, metavar="NUMBER", help="Whom it sells for.")
@click.option("--terminal", help="The terminal that it stands at.")
@click.option("--days", type=click.IntRange(1), help="How long it is good. [default: for ever]")
@database_option
@json_option
def add_key(
    client: str,
    roles: tuple[str, ...],
    vendor_id: int | None,
    terminal: str | None,
    days: int | None,
    database: str,
    as_json: bool,
) -> None:
    """Make a key for the program that calls itself CLIENT; it is shown this one time."""
    expires_at = None if days is None else datetime.now(UTC) + timedelta(days=days)
    with open_shop(database) as shop:
        made = shop.people.add_api_key(
            client, roles, vendor_id=vendor_id, terminal=terminal, expires_at=expires_at
        )
    if as_json:
        print_json({**_key_object(made.entry), "api_key": made.text})
        return
    console.print("Keep it safe, it is never shown again:", style="yellow")
    click.echo(made.text)


@api_key.command(name="list")
@database_option
@json_option
def list_keys(database: str, as_json: bool) -> None:
    """Show all keys, without their secrets."""
    with open_shop(database) as shop:
        found = shop.people.api_keys()
    if as_json:
        print_json([_key_object(each) for each in found])
        return
    table = Table("prefix", "client", "roles", "terminal", "good until", "")
    for each in found:
        until = each.expires_at.date().isoformat() if each.expires_at else ""
        state = "revoked" if each.revoked_at else ""
        table.add_row(
            each.prefix, each.client, ", ".join(each.roles), each.terminal or "", until, state
        )
    console.print(table, markup=False)


@api_key.command()
@click.argument("prefix")
@_reason_option
@database_option
@json_option
def revoke(prefix: str, reason: str, database: str, as_json: bool) -> None:
    """Let the program with the key of this PREFIX in no more."""
    with open_shop(database) as shop:
        shop.people.revoke_api_key(prefix, reason)
    _say(as_json, {"prefix": prefix, "revoked": True}, f"Key {prefix} opens nothing any more.")


def _new_password(name: str, password_file: str | None) -> str:
    if password_file:
        return read_secret_file(password_file)
    return str(
        click.prompt(f"New password of {name}", hide_input=True, confirmation_prompt=True, err=True)
    )


def _say(as_json: bool, answer: dict[str, Any], words: str) -> None:
    if as_json:
        print_json(answer)
    else:
        console.print(words, markup=False)


def _operator_object(operator: Operator) -> dict[str, Any]:
    return {
        "operator": operator.name,
        "roles": list(operator.roles),
        "vendor": operator.vendor_id,
        "added_at": operator.added_at.isoformat(),
        "disabled_at": operator.disabled_at and operator.disabled_at.isoformat(),
    }


def _key_object(entry: ApiKeyEntry) -> dict[str, Any]:
    return {
        "prefix": entry.prefix,
        "client": entry.client,
        "roles": list(entry.roles),
        "vendor": entry.vendor_id,
        "terminal": entry.terminal,
        "added_by": entry.added_by,
        "added_at": entry.added_at.isoformat(),
        "expires_at": entry.expires_at and entry.expires_at.isoformat(),
        "revoked_at": entry.revoked_at and entry.revoked_at.isoformat(),
    }
