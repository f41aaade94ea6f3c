"""The desk for operators, roles, passwords and API keys: `Shop.people`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from storage import audit
from vending.people import api_keys, operators, passwords, sign_in
from vending.people.actor import Actor, Permission, Role
from vending.people.api_keys import ApiKeyEntry
from vending.people.credentials import Password
from vending.people.faults import OwnRolesError, SignInRequiredError
from vending.people.operators import Operator
from vending.shop.faults import RequestFormatError, storage_faults
from vending.shop.house import House
from vending.shop.values import require_moment, require_text, require_whole

SESSION_LIFE_MAX: Final = sign_in.SESSION_LIFE


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """A key just made; its text is shown this one time and never kept."""

    entry: ApiKeyEntry
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Session:
    """A sign-in of a till."""

    token: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class PeopleDesk:
    """Who may do what.  With its first operator a shop is no open house any more."""

    house: House

    @property
    def actor(self) -> Actor:
        """Who acts here, with the roles of this moment.

        Raises:
            SignInRequiredError: they may not be here any more.
        """
        return self.house.current_actor()

    # --- operators ------------------------------------------------------------------------

    def add_operator(
        self,
        name: str,
        password: str,
        roles: Collection[Role | str],
        *,
        vendor_id: int | None = None,
    ) -> Operator:
        """Let somebody in from now on.

        Args:
            name: theirs for ever; in any case it is the same name.
            password: at least `passwords.PASSWORD_LENGTH_MIN` characters.
            roles: one or more; the first operator must be an administrator.
            vendor_id: the vendor they work for; None for the utility's own people.

        Raises:
            OperatorNameError, PasswordRuleError, UnknownRoleError: a wrong value.
            OperatorExistsError, FirstOperatorError, BindingError: why not.
            PermissionDeniedError, SignInRequiredError: who asks may not.
        """
        self.house.require(Permission.PEOPLE)
        kept = operators.require_name(name)
        wanted = operators.require_roles(roles)
        passwords.require_good(kept, password)
        hashed = passwords.hash_password(password)
        now = self.house.now()
        with self.house.writing() as connection:
            api_keys.require_bindings(connection, vendor_id, None)
            added = operators.insert_operator(connection, kept, hashed, wanted, vendor_id, now)
            self._record(connection, now, "operator.added", added.name, _names(wanted))
        self.house.look_again()
        return added

    def operators(self) -> list[Operator]:
        """All, by name."""
        self.house.require(Permission.PEOPLE)
        with self.house.reading() as connection:
            return operators.list_operators(connection)

    def disable_operator(self, name: str, reason: str) -> None:
        """Let somebody in no more; their sessions end.

        Raises:
            UnknownOperatorError: nobody is called that.
            LastAdministratorError: nobody else could let anybody in.
            RequestFormatError: no reason is given.
        """
        self._set_disabled(name, reason, disabled=True)

    def enable_operator(self, name: str, reason: str) -> None:
        """Let somebody in again.

        Raises:
            UnknownOperatorError: nobody is called that.
            RequestFormatError: no reason is given.
        """
        self._set_disabled(name, reason, disabled=False)

    def set_roles(self, name: str, roles: Collection[Role | str], reason: str) -> Operator:
        """Give somebody these roles and no others.

        Raises:
            OwnRolesError: they are one's own.
            UnknownOperatorError, UnknownRoleError, LastAdministratorError: why not.
        """
        self.house.require(Permission.PEOPLE)
        wanted = operators.require_roles(roles)
        _require_reason(reason)
        now = self.house.now()
        with self.house.writing() as connection:
            operator = operators.find_operator(connection, name)
            if operator.operator_id == self.house.actor.operator_id:
                raise OwnRolesError("Somebody else must change your roles.")
            operators.set_roles(connection, operator, wanted)
            detail = f"{_names(operator.roles)} -> {_names(wanted)}"
            self._record(connection, now, "operator.roles", operator.name, detail, reason)
            changed = operators.find_operator(connection, name)
        self.house.look_again()
        return changed

    def set_password(self, name: str, password: str, reason: str) -> None:
        """Give somebody who forgot it a new password; their sessions end.

        Raises:
            UnknownOperatorError, PasswordRuleError: why not.
            RequestFormatError: no reason is given.
        """
        self.house.require(Permission.PEOPLE)
        _require_reason(reason)
        self._store_password(name, password, "operator.password_set", reason)

    def change_password(self, old: str, new: str) -> None:
        """Change one's own password; one's sessions end.

        Raises:
            WrongCredentialsError, TooManyTriesError: the old one is wrong.
            PasswordRuleError: the new one is not good enough.
        """
        actor = self._person()
        with storage_faults():
            sign_in.sign_in(self.house.engine, Password(actor.name, old), self.house.now())
        self._store_password(actor.name, new, "operator.password_changed", "")

    # --- sessions -------------------------------------------------------------------------

    def start_session(self, life: timedelta = SESSION_LIFE_MAX) -> Session:
        """Let a till go without the password for a while.

        Args:
            life: at most `SESSION_LIFE_MAX`.

        Raises:
            SignInRequiredError: no operator has signed in.
            RequestFormatError: too long, or not above zero.
        """
        actor = self._person()
        if not timedelta(0) < life <= SESSION_LIFE_MAX:
            raise RequestFormatError("A session lasts at most 12 hours.")
        now = self.house.now()
        with self.house.writing() as connection:
            operator = operators.find_operator(connection, actor.name)
            token, expires_at = sign_in.start_session(connection, operator, now, life)
            self._record(connection, now, "sign_in.started", operator.name, "")
        return Session(token, expires_at)

    def end_session(self, token: str) -> bool:
        """Sign out; tells whether the session was still going on."""
        require_text("A session's token", token)
        now = self.house.now()
        with self.house.writing() as connection:
            ended = sign_in.end_session(connection, token, now)
            if ended:
                self._record(connection, now, "sign_in.ended", self.house.actor.name, "")
        self.house.look_again()
        return ended

    # --- programs -------------------------------------------------------------------------

    def add_api_key(
        self,
        client: str,
        roles: Collection[Role | str] = (Role.KIOSK,),
        *,
        vendor_id: int | None = None,
        terminal: str | None = None,
        expires_at: datetime | None = None,
    ) -> NewApiKey:
        """Let a program in from now on; only requests of this client.

        Args:
            client: the ``client`` that its requests must name.
            roles: one or more.
            vendor_id: the vendor that it sells for.
            terminal: the name of the terminal that it stands at.
            expires_at: from when on it is worth nothing; None: never.

        Raises:
            RequestFormatError, UnknownRoleError, BindingError: a wrong value.
            SignInRequiredError: an open house has no use for keys: add an operator first.
        """
        self.house.require(Permission.PEOPLE)
        if self.house.actor.is_anybody:
            raise SignInRequiredError(
                "An open house lets every program in: add an operator before an API key."
            )
        if not require_text("client", client).strip():
            raise RequestFormatError("client must not be empty.")
        wanted = operators.require_roles(roles)
        until = None if expires_at is None else require_moment("The key's end", expires_at)
        if vendor_id is not None:
            require_whole("A vendor's number", vendor_id)
        now = self.house.now()
        with self.house.writing() as connection:
            entry, text = api_keys.insert_api_key(
                connection,
                client,
                wanted,
                vendor_id=vendor_id,
                terminal=terminal,
                expires_at=until,
                by=self.house.actor.name,
                now=now,
            )
            what = f"{client} {_names(wanted)}"
            self._record(connection, now, "api_key.added", entry.prefix, what)
        return NewApiKey(entry, text)

    def api_keys(self) -> list[ApiKeyEntry]:
        """All, the oldest first; never their secrets."""
        self.house.require(Permission.PEOPLE)
        with self.house.reading() as connection:
            return api_keys.list_api_keys(connection)

    def revoke_api_key(self, prefix: str, reason: str) -> None:
        """Let a program in no more.

        Raises:
            UnknownApiKeyError: there is no such key.
            RequestFormatError: no reason is given.
        """
        self.house.require(Permission.PEOPLE)
        _require_reason(reason)
        now = self.house.now()
        with self.house.writing() as connection:
            entry = api_keys.find_api_key(connection, str(prefix))
            api_keys.revoke(connection, entry, now)
            self._record(connection, now, "api_key.revoked", prefix, entry.client, reason)
        self.house.look_again()

    # --- inside ---------------------------------------------------------------------------

    def _set_disabled(self, name: str, reason: str, *, disabled: bool) -> None:
        self.house.require(Permission.PEOPLE)
        _require_reason(reason)
        now = self.house.now()
        with self.house.writing() as connection:
            operator = operators.find_operator(connection, name)
            operators.set_disabled(connection, operator, now if disabled else None)
            action = "operator.disabled" if disabled else "operator.enabled"
            self._record(connection, now, action, operator.name, "", reason)
        self.house.look_again()

    def _store_password(self, name: str, password: str, action: str, reason: str) -> None:
        with self.house.reading() as connection:
            operator = operators.find_operator(connection, name)
        passwords.require_good(operator.name, password)
        hashed = passwords.hash_password(password)
        now = self.house.now()
        with self.house.writing() as connection:
            operators.store_password(connection, operator.operator_id, hashed, now)
            sign_in.forget_tries(connection, sign_in.tries_key(operator.name))
            self._record(connection, now, action, operator.name, "", reason)
        self.house.look_again()

    def _person(self) -> Actor:
        actor = self.house.current_actor()
        if actor.operator_id is None:
            raise SignInRequiredError("Sign in with a name and a password for this.")
        return actor

    def _record(
        self,
        connection: Connection,
        now: datetime,
        action: str,
        subject: str,
        detail: str,
        reason: str = "",
    ) -> None:
        audit.record(
            connection,
            now,
            actor=self.house.actor.name,
            action=action,
            subject=subject,
            detail=detail,
            reason=reason,
        )


def _names(roles: Collection[Role]) -> str:
    return ",".join(sorted(role.value for role in roles))


def _require_reason(reason: str) -> None:
    if not require_text("The reason", reason).strip():
        raise RequestFormatError("Say why: the audit trail wants a reason.")
