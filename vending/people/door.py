"""The door of a shop: who came in, and whether they may still be there.

A kiosk's process runs for months.  Its key may be revoked meanwhile, an operator be disabled
or lose a role, an open house get its first operator: who acts is looked up again when the last
look is older than `RECHECK_S`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, Engine

from storage.engine import reading
from vending.people.actor import ANYBODY, Actor
from vending.people.api_keys import api_key_by_id, find_secret
from vending.people.credentials import ApiKey, Credentials, Password, SessionToken
from vending.people.faults import SignInRequiredError, WrongCredentialsError
from vending.people.operators import any_operator, operator_by_id
from vending.people.sign_in import session_of, sign_in
from vending.shop.faults import RequestFormatError

RECHECK_S: Final = 1.0
"""How long a look at the database is believed."""

_Look = Callable[[Connection, datetime], Actor]


class Door:
    """Who came in.  May be used from several threads."""

    def __init__(self, engine: Engine, clock: Callable[[], datetime], look: _Look) -> None:
        self._engine: Final = engine
        self._clock: Final = clock
        self._look: Final = look
        self._seen = self._looked()

    def actor(self) -> Actor:
        """Who acts, with the roles that they have now.

        Raises:
            SignInRequiredError: they may not be here any more, or must sign in by now.
            StorageError: the database cannot be asked.
        """
        actor, seen_at = self._seen
        if time.monotonic() - seen_at >= RECHECK_S:
            self._seen = self._looked()
            actor = self._seen[0]
        return actor

    def look_again(self) -> None:
        """Believe nothing that was seen before: somebody's rights were changed."""
        self._seen = (self._seen[0], float("-inf"))

    def _looked(self) -> tuple[Actor, float]:
        at = time.monotonic()
        with reading(self._engine) as connection:
            return self._look(connection, self._clock()), at


def come_in(engine: Engine, credentials: Credentials | None, clock: Callable[[], datetime]) -> Door:
    """Let somebody in.

    Args:
        engine: the shop's database.
        credentials: None opens an open house only.
        clock: gives the time in UTC.

    Raises:
        SignInRequiredError: the shop has operators, and no credentials were given.
        RequestFormatError: they are none.
        WrongCredentialsError: they do not open this shop.
        TooManyTriesError: wait.
        StorageError: the database cannot be asked.
    """
    if credentials is None:
        return Door(engine, clock, _anybody)
    if not isinstance(credentials, Credentials):
        raise RequestFormatError(
            "Credentials are a Password(name, password), an ApiKey(text) or a SessionToken(text)."
        )
    if isinstance(credentials, Password):
        operator_id = sign_in(engine, credentials, clock()).operator_id
        return Door(engine, clock, lambda connection, _: _operator(connection, operator_id))
    if isinstance(credentials, SessionToken):
        token = credentials.text
        return Door(engine, clock, lambda connection, now: _session(connection, token, now))
    return Door(engine, clock, _program(engine, credentials))


def _anybody(connection: Connection, _now: datetime) -> Actor:
    if any_operator(connection):
        raise SignInRequiredError(
            "This shop has operators: sign in first, with `meterhouse sign-in`, with --operator "
            "and a password, or with an API key."
        )
    return ANYBODY


def _operator(connection: Connection, operator_id: int) -> Actor:
    operator = operator_by_id(connection, operator_id)
    if operator.disabled_at is not None:
        raise SignInRequiredError(
            f"{operator.name} may not sign in any more; an administrator can change that."
        )
    return operator.actor()


def _session(connection: Connection, token: str, now: datetime) -> Actor:
    session = session_of(connection, token, now)
    if session is None:
        raise SignInRequiredError(
            "You are not signed in at this till, or no longer: use `meterhouse sign-in`."
        )
    return _operator(connection, session.operator_id)


def _program(engine: Engine, given: ApiKey) -> _Look:
    with reading(engine) as connection:
        found = find_secret(connection, str(given.text))
    if found is None:
        raise WrongCredentialsError("This API key does not open this shop.")
    api_key_id = found.api_key_id

    def look(connection: Connection, now: datetime) -> Actor:
        entry = api_key_by_id(connection, api_key_id)
        if not entry.is_good(now):
            raise SignInRequiredError(
                f"API key {entry.prefix} was revoked or has expired: ask for a new one."
            )
        return entry.actor()

    return look
