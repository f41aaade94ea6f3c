"""Passwords: Argon2id (RFC 9106), with parameters that grow with the years.

The parameters are the second recommended choice of RFC 9106, section 4: 64 MiB, three passes.
A hash that was made with others is made anew when its owner signs in.
"""

from __future__ import annotations

import unicodedata
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type

from vending.people.faults import PasswordRuleError

PASSWORD_LENGTH_MIN: Final = 10
PASSWORD_LENGTH_MAX: Final = 1_000
"""Longer ones are no better, and hashing them is work that a stranger could ask for."""

HASHER: Final = PasswordHasher(
    time_cost=3, memory_cost=64 * 1024, parallelism=4, hash_len=32, salt_len=16, type=Type.ID
)
_NOBODYS_HASH: Final = (
    "$argon2id$v=19$m=65536,t=3,p=4$bm9ib2R5IGlzIGhlcmUuLg$"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)


def require_good(name: str, password: object) -> None:
    """Hold a new password to the rules.

    Raises:
        PasswordRuleError: says which.
    """
    if not isinstance(password, str) or len(password) < PASSWORD_LENGTH_MIN:
        raise PasswordRuleError(f"A password needs at least {PASSWORD_LENGTH_MIN} characters.")
    if len(password) > PASSWORD_LENGTH_MAX:
        raise PasswordRuleError(f"A password has at most {PASSWORD_LENGTH_MAX} characters.")
    if password.casefold() == name.casefold():
        raise PasswordRuleError("A password must be another word than the operator's name.")
    if len(set(password)) < PASSWORD_LENGTH_MIN // 2:
        raise PasswordRuleError("A password must not repeat the same few characters.")


def hash_password(password: str) -> str:
    """The hash to keep; takes a tenth of a second on purpose."""
    return HASHER.hash(_canonical(password))


def matches(password_hash: str | None, password: object) -> bool:
    """Whether it is the password.

    Args:
        password_hash: what is kept; None when there is no such operator, which takes as long.
        password: what was typed.
    """
    if not isinstance(password, str) or len(password) > PASSWORD_LENGTH_MAX:
        password = ""
    try:
        HASHER.verify(password_hash or _NOBODYS_HASH, _canonical(password))
    except (VerificationError, InvalidHashError):
        return False
    return password_hash is not None


def is_outdated(password_hash: str) -> bool:
    """Whether the hash was made with other parameters than today's."""
    return HASHER.check_needs_rehash(password_hash)


def _canonical(password: str) -> bytes:
    """The same bytes whichever keyboard composed the characters."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
