"""Vending keys in a PKCS#11 token (an HSM, or SoftHSM), used there.

DKGA04
    HMAC-SHA-256 in the token.  The 160-bit key followed by 12 zero bytes is the same HMAC key,
    and is not refused as too short.  The key is sensitive and never leaves.

DKGA02
    Single DES in the token, as triple DES with the key three times.  But DKGA02 also mixes the
    vending key itself into each decoder key, and PKCS#11 has no mechanism for that step: it is
    done in this process, with a second copy of the key that the token gives out after log-in.
    So a token protects a DKGA02 key where it lies, not from a program that has broken into this
    process, and such keys are only taken with ``dkga02_in_host``.

Keys are put in by unwrapping (AES key wrap) under a key that lives for that one session, with
random bytes of the token where a new key is made: PKCS#11 cannot make keys of these forms
itself.  Callers take turns, for the binding gives no leave to call the library from several
threads at once; after a fork the library is initialised again.
"""

from __future__ import annotations

import hmac
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar, Final

import pkcs11
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass
from pkcs11.exceptions import PinIncorrect, PKCS11Error
from sqlalchemy import Connection

from vending.security.faults import ModuleCannotError, ModuleUnavailableError
from vending.security.groups import RevisionTerms
from vending.security.key_checks import key_bits, key_check_value, odd_parity, require_sound
from vending.security.recorded import KeptKey
from vending.security.wrapping import MasterSecret, read_secret_file
from vending.sts import DecoderKey, KeyAttributes, KeyGeneration, VendingKey
from vending.sts.decoder_key import control_block, kdf_message, pan_block, require_dkga02

_HMAC_KEY_BYTES: Final = 32
_WRAPPING_KEY_BYTES: Final = 32
_BLOCK: Final = 8
_KCV_BYTES: Final = 3
_MIX: Final = " (mix)"
_LOCKED: Final = {Attribute.TOKEN: True, Attribute.PRIVATE: True}
_USES: Final = (
    Attribute.ENCRYPT,
    Attribute.DECRYPT,
    Attribute.SIGN,
    Attribute.VERIFY,
    Attribute.WRAP,
    Attribute.UNWRAP,
    Attribute.DERIVE,
)
_HIDDEN: Final = {
    **_LOCKED,
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
    **dict.fromkeys(_USES, False),
}
"""A vending key: it never leaves, and does nothing but the one thing that it is for."""


def read_pin(path: Path) -> str:
    """A token's PIN: the first line of a file that only its owner may read.

    Raises:
        SecretFileError: the file cannot be used.
    """
    MasterSecret.passphrase_file(path)  # says what is wrong with the file
    return read_secret_file(path).decode().splitlines()[0]


class _Library:
    """The process's turn at PKCS#11.

    The Python binding initialises the library without leave to call it from several threads
    (two at once have crashed SoftHSM), so calls take turns.  A forked child begins with a lock
    of its own: its parent's may be held by a thread that the child does not have.
    """

    turn: ClassVar[threading.RLock] = threading.RLock()

    @classmethod
    def renew(cls) -> None:
        """After a fork, in the child."""
        cls.turn = threading.RLock()


os.register_at_fork(after_in_child=_Library.renew)


class _LogIn:
    """A process's log-in to a token: PKCS#11 knows one for all sessions of the process."""

    _all: ClassVar[dict[tuple[int, str, str], _LogIn]] = {}

    def __init__(self, library: Path, label: str, pin: str) -> None:
        loaded = pkcs11.lib(str(library))
        strangers = [key for key in self._all if key[0] != os.getpid()]
        if any(name == str(library) for _, name, _ in strangers):
            loaded.reinitialize()  # this process was forked from one that had logged in
        for key in strangers:
            del self._all[key]
        self.token: Final = loaded.get_token(token_label=label)
        self.session: Final = self.token.open(user_pin=pin)
        """The log-in lasts as long as this session is open."""
        self.keys: Final[dict[tuple[str, KeyType], Any]] = {}
        """Keys that were looked up before."""
        self._pin: Final = pin
        self._users = 0

    @classmethod
    def shared(cls, library: Path, label: str, pin: str) -> _LogIn:
        """Log in, or join who did."""
        key = os.getpid(), str(library), label
        found = cls._all.get(key)
        if found is None:
            found = cls._all[key] = cls(library, label, pin)
        elif not hmac.compare_digest(found._pin.encode(), pin.encode()):
            raise PinIncorrect
        found._users += 1
        return found

    def leave(self) -> None:
        """Log out when nobody else in the process needs it."""
        self._users -= 1
        if self._users == 0:
            self.drop()

    def drop(self) -> None:
        """Log out: whoever needs it logs in anew."""
        for key in [key for key, each in self._all.items() if each is self]:
            del self._all[key]
            with suppress(PKCS11Error):
                self.session.close()


class Pkcs11Source:
    """A PKCS#11 token with vending keys, logged in.

    Args:
        library: the vendor's PKCS#11 library.
        token: the token's label.
        pin: the user's PIN.

    Raises:
        ModuleUnavailableError: no such library or token, or another PIN.
    """

    def __init__(self, library: Path, token: str, pin: str) -> None:
        self._library: Final = library
        self._token_label: Final = token
        self._pin: Final = pin
        self._process = 0
        self._log_in: _LogIn | None = None
        with _Library.turn:
            self._begin()

    def __repr__(self) -> str:
        return f"Pkcs11Source({self._token_label})"

    def refresh(self, connection: Connection) -> None:
        """The token does not depend on the database."""

    def derive(self, kept: KeptKey, key: KeyAttributes) -> DecoderKey:
        """A meter's decoder key.

        Raises:
            ModuleUnavailableError: the key is not in the token, or the token fails.
            KeyFormatError, InvalidValueError: the key cannot make this decoder key.
        """
        label = kept.record.label
        assert label is not None  # a constraint of the table
        if kept.record.terms.dkga is KeyGeneration.DKGA04:
            derived = self._hmac(label, kdf_message(key))
            return DecoderKey(derived[: key.algorithm.key_bits // 8])
        mixed = self._mix_copy(label)
        require_dkga02(mixed, key.algorithm)
        block = pan_block(key.meter_pan, key.key_type) ^ control_block(
            key.key_type, key.sgc, key.tariff_index, key.krn
        )
        encrypted = int.from_bytes(self._des(label, block.to_bytes(_BLOCK, "big")), "big")
        return DecoderKey((encrypted ^ block ^ mixed.number).to_bytes(_BLOCK, "big"))

    def check_value(self, kept: KeptKey) -> str:
        """The vending key's check value, worked out in the token."""
        label = kept.record.label
        assert label is not None  # a constraint of the table
        return self._check_value(label, kept.record.terms.dkga)

    def store(self, key: VendingKey, terms: RevisionTerms, *, dkga02_in_host: bool = False) -> str:
        """Put a vending key into the token; gives its label.

        Args:
            key: the vending key.
            terms: what it is for.
            dkga02_in_host: take a DKGA02 key, whose last step is done in this process.

        Raises:
            ModuleCannotError: a DKGA02 key without ``dkga02_in_host``.
            ModuleUnavailableError: the token fails; what was begun is removed.
        """
        key.require_bits(key_bits(terms.dkga))
        require_sound(key)
        if terms.dkga is KeyGeneration.DKGA02 and not dkga02_in_host:
            raise ModuleCannotError(
                "DKGA02 mixes the vending key itself into each decoder key, which no PKCS#11 "
                "token does: that step would be done in this process, with a copy that the "
                "token gives out. Keep DKGA02 keys in the vault, or accept this by name "
                "(--dkga02-in-host)."
            )
        # another database may use the same token: labels never meet
        label = f"meterhouse {terms.sgc}/{terms.krn} {secrets.token_hex(4)}"
        try:
            with self._writing() as session:
                self._put(session, label, key, terms.dkga)
            self._require_same(label, terms.dkga, key)
        except BaseException:
            self.remove(label)
            raise
        return label

    def random_key(self, terms: RevisionTerms) -> VendingKey:
        """A new vending key of the token's random bytes; not in the token yet.

        Raises:
            ModuleUnavailableError: the token fails.
        """
        with self._using() as held:
            fresh = bytes(held.session.generate_random(key_bits(terms.dkga)))
        return VendingKey(odd_parity(fresh) if terms.dkga is KeyGeneration.DKGA02 else fresh)

    def remove(self, label: str) -> None:
        """Destroy a key, if it is there."""
        with self._writing() as session:
            for name in (label, label + _MIX):
                for found in list(session.get_objects({Attribute.LABEL: name})):
                    found.destroy()

    def close(self) -> None:
        """Log out, unless somebody else in this process is logged in, too."""
        with _Library.turn:
            if self._log_in is not None and self._process == os.getpid():
                self._log_in.leave()
            self._log_in = None

    # --- inside ---------------------------------------------------------------------------

    def _hmac(self, label: str, message: bytes) -> bytes:
        with self._using() as held:
            key = self._found(held, label, KeyType.GENERIC_SECRET)
            return bytes(key.sign(message, mechanism=Mechanism.SHA256_HMAC))

    def _des(self, label: str, block: bytes) -> bytes:
        with self._using() as held:
            key = self._found(held, label, KeyType.DES3)
            return bytes(key.encrypt(block, mechanism=Mechanism.DES3_ECB))

    def _mix_copy(self, label: str) -> VendingKey:
        with self._using() as held:
            copy = self._found(held, label + _MIX, KeyType.GENERIC_SECRET)
            return VendingKey(bytes(copy[Attribute.VALUE]))

    def _check_value(self, label: str, dkga: KeyGeneration) -> str:
        zeros = bytes(_BLOCK)
        applied = (
            self._hmac(label, zeros) if dkga is KeyGeneration.DKGA04 else self._des(label, zeros)
        )
        return applied[:_KCV_BYTES].hex().upper()

    def _require_same(self, label: str, dkga: KeyGeneration, key: VendingKey) -> None:
        if self._check_value(label, dkga) != key_check_value(key):
            raise ModuleUnavailableError("The PKCS#11 token does not compute as it should.")

    def _found(self, held: _LogIn, label: str, kind: KeyType) -> Any:
        if (label, kind) not in held.keys:
            found = list(
                held.session.get_objects(
                    {
                        Attribute.CLASS: ObjectClass.SECRET_KEY,
                        Attribute.KEY_TYPE: kind,
                        Attribute.LABEL: label,
                    }
                )
            )
            if len(found) != 1:
                raise ModuleUnavailableError(
                    f"The PKCS#11 token {self._token_label} holds {len(found)} keys labelled "
                    f"'{label}' where one should be."
                )
            held.keys[label, kind] = found[0]
        return held.keys[label, kind]

    def _put(self, session: Any, label: str, key: VendingKey, dkga: KeyGeneration) -> None:
        secret = key.secret
        carrier = secrets.token_bytes(_WRAPPING_KEY_BYTES)
        wrapper = session.create_object(
            {
                Attribute.CLASS: ObjectClass.SECRET_KEY,
                Attribute.KEY_TYPE: KeyType.AES,
                Attribute.TOKEN: False,
                Attribute.SENSITIVE: True,
                Attribute.EXTRACTABLE: False,
                Attribute.UNWRAP: True,
                Attribute.VALUE: carrier,
            }
        )
        try:
            if dkga is KeyGeneration.DKGA04:
                value = secret.ljust(_HMAC_KEY_BYTES, b"\0")
                kind, use = KeyType.GENERIC_SECRET, Attribute.SIGN
            else:
                value = secret * 3
                kind, use = KeyType.DES3, Attribute.ENCRYPT
            wrapper.unwrap_key(
                ObjectClass.SECRET_KEY,
                kind,
                aes_key_wrap(carrier, value),
                label=label,
                store=True,
                mechanism=Mechanism.AES_KEY_WRAP,
                template={**_HIDDEN, use: True},
            )
        finally:
            wrapper.destroy()
        if dkga is KeyGeneration.DKGA02:
            session.create_object(
                {
                    **_LOCKED,
                    Attribute.CLASS: ObjectClass.SECRET_KEY,
                    Attribute.KEY_TYPE: KeyType.GENERIC_SECRET,
                    Attribute.LABEL: label + _MIX,
                    **dict.fromkeys(_USES, False),
                    Attribute.SENSITIVE: False,
                    Attribute.EXTRACTABLE: True,
                    Attribute.VALUE: secret,
                }
            )

    @contextmanager
    def _using(self) -> Iterator[_LogIn]:
        """This caller's turn at the token; its faults as ours, which quote nothing."""
        with _Library.turn:
            if self._log_in is None or self._process != os.getpid():
                self._begin()
            assert self._log_in is not None
            try:
                yield self._log_in
            except PKCS11Error as fault:
                # a token that was taken out and put back wants a new log-in
                self._log_in.drop()
                self._log_in = None
                raise ModuleUnavailableError(
                    f"The PKCS#11 token {self._token_label} failed ({type(fault).__name__})."
                ) from None

    @contextmanager
    def _writing(self) -> Iterator[Any]:
        """A session that may change the token."""
        with self._using() as held:
            held.keys.clear()
            session = held.token.open(rw=True)
            try:
                yield session
            finally:
                session.close()

    def _begin(self) -> None:
        """Log in, once in each process."""
        try:
            self._log_in = _LogIn.shared(self._library, self._token_label, self._pin)
        except (PKCS11Error, RuntimeError, OSError) as fault:
            raise ModuleUnavailableError(
                f"The PKCS#11 token {self._token_label} cannot be opened with {self._library} "
                f"({type(fault).__name__}): check library, label and PIN."
            ) from None
        self._process = os.getpid()
