"""Signing in: passwords with growing delays, sessions of tills.

A try is counted before the password is looked at and forgotten when it was right, so that
many tries at the same time count, too.  The delay is a time in the database: nobody sleeps.
Names that nobody has are treated in every way like those that somebody has.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, Engine, Row, delete, insert, select, update

from storage import audit
from storage.engine import insert_if_new, reading, writing
from vending.people import passwords
from vending.people.credentials import Password
from vending.people.faults import TooManyTriesError, WrongCredentialsError
from vending.people.operators import Operator, fold, keep_hash, operator_by_id, password_hash_of
from vending.people.tables import password_tries, sign_ins

SESSION_LIFE: Final = timedelta(hours=12)
_MARK: Final = "mhs"
_FREE_TRIES: Final = 5
"""Wrong passwords in a row before waiting begins: people mistype."""
_DELAY_MAX: Final = timedelta(minutes=15)
_WRONG: Final = (
    "The name or the password is wrong, or the operator is disabled. After several wrong tries "
    "the next one has to wait."
)
_FORGOTTEN_AFTER: Final = timedelta(days=1)
"""Tries under a name are forgotten so long after the last delay."""


def sign_in(engine: Engine, given: Password, now: datetime) -> Operator:
    """Check a password; makes the operator's hash anew when its parameters are outdated.

    Raises:
        WrongCredentialsError: name or password is wrong, or the operator is disabled.
        TooManyTriesError: wait until the time that it says.
    """
    name_sha256 = tries_key(str(given.name))
    with writing(engine) as connection:
        failed = _count_try(connection, name_sha256, now)
    with reading(engine) as connection:
        known = password_hash_of(connection, str(given.name))
    if passwords.matches(None if known is None else known[1], given.password):
        assert known is not None
        return _let_in(engine, name_sha256, known, given.password)
    if failed > _FREE_TRIES:
        _record_failure(engine, known, failed, now)
    raise WrongCredentialsError(_WRONG)


def start_session(
    connection: Connection, operator: Operator, now: datetime, life: timedelta = SESSION_LIFE
) -> tuple[str, datetime]:
    """A token that stands for the password for a while, and until when."""
    token = f"{_MARK}_{secrets.token_urlsafe(32)}"
    connection.execute(
        insert(sign_ins),
        {
            "operator_id": operator.operator_id,
            "token_sha256": _sha256(token),
            "signed_in_at": now,
            "expires_at": now + life,
        },
    )
    return token, now + life


def session_of(connection: Connection, token: str, now: datetime) -> Row[int, int] | None:
    """The session of a token (sign_in_id, operator_id); None when it is over, or none."""
    return connection.execute(
        select(sign_ins.c.sign_in_id, sign_ins.c.operator_id).where(
            sign_ins.c.token_sha256 == _sha256(token),
            sign_ins.c.signed_out_at.is_(None),
            sign_ins.c.signed_in_at <= now,
            sign_ins.c.expires_at > now,
        )
    ).one_or_none()


def end_session(connection: Connection, token: str, now: datetime) -> bool:
    """Sign out; tells whether there was anything to end."""
    ended = connection.execute(
        update(sign_ins)
        .where(sign_ins.c.token_sha256 == _sha256(token), sign_ins.c.signed_out_at.is_(None))
        .values(signed_out_at=now)
    )
    return ended.rowcount == 1


def delay_after(failed: int) -> timedelta:
    """How long the next try has to wait after so many wrong ones in a row."""
    if failed < _FREE_TRIES:
        return timedelta(0)
    return min(_DELAY_MAX, timedelta(seconds=2 ** min(failed - _FREE_TRIES + 1, 20)))


def _count_try(connection: Connection, name_sha256: bytes, now: datetime) -> int:
    """Count this try as a wrong one, which it is until the password was right."""
    connection.execute(
        delete(password_tries).where(password_tries.c.next_try_at < now - _FORGOTTEN_AFTER)
    )
    first = {"name_sha256": name_sha256, "failed": 1, "next_try_at": now}
    if insert_if_new(connection, password_tries, first):
        return 1
    same = password_tries.c.name_sha256 == name_sha256
    row = connection.execute(select(password_tries).where(same).with_for_update()).one_or_none()
    if row is None:  # another one was let in between
        return 1
    # a clock that went far back must not shut anybody out for as long
    if now < row.next_try_at <= now + _DELAY_MAX:
        wait_s = int((row.next_try_at - now).total_seconds()) + 1
        raise TooManyTriesError(
            f"Too many wrong passwords for this name: try again in {wait_s} seconds. Another "
            "administrator can set a new password."
        )
    failed: int = row.failed + 1
    connection.execute(
        update(password_tries)
        .where(same)
        .values(failed=failed, next_try_at=now + delay_after(failed))
    )
    return failed


def _let_in(engine: Engine, name_sha256: bytes, known: tuple[int, str], password: str) -> Operator:
    operator_id, password_hash = known
    better = passwords.hash_password(password) if passwords.is_outdated(password_hash) else None
    with writing(engine) as connection:
        forget_tries(connection, name_sha256)
        operator = operator_by_id(connection, operator_id)
        if operator.disabled_at is None:
            if better is not None:
                keep_hash(connection, operator_id, better)
            return operator
    raise WrongCredentialsError(_WRONG)


def tries_key(name: str) -> bytes:
    """Under what tries are counted: the hash of a name, which somebody may have or nobody."""
    return _sha256(fold(name))


def forget_tries(connection: Connection, name_sha256: bytes) -> None:
    """Begin to count anew."""
    connection.execute(delete(password_tries).where(password_tries.c.name_sha256 == name_sha256))


def _record_failure(
    engine: Engine, known: tuple[int, str] | None, failed: int, now: datetime
) -> None:
    """Only what was typed too often; never the name as typed, which may be a password."""
    with writing(engine) as connection:
        whom = operator_by_id(connection, known[0]).name if known else "nobody of this shop"
        audit.record(
            connection,
            now,
            actor="",
            action="sign_in.refused",
            subject=whom,
            detail=f"wrong password, {failed} times in a row",
        )


def _sha256(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
