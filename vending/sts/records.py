"""The engine on plain records: what ``meterhouse sts`` reads and writes, a JSON object a line.

Field names are those of the published figures (``tests/vectors/sts.json``):

===================  ======================================================================
`encode`             ea, decoder_key, class, subclass, base_year, issued_at (or tid), rnd and
                     the token's own field: amount · control, manufacturer_code ·
                     max_power_limit_w · register · rate · pad · mppul_w · wm_factor; ken
                     if the key's expiry is to be checked
`decode`             token, ea, decoder_key, base_year
`decoder_key`        dkga, ea, vending_key, meter_pan, sgc, tariff_index, krn, key_type,
                     base_year
`key_change`         ea, old_key, new_key, ken, krn, key_type, tariff_index, sgc, rollover
===================  ======================================================================

Times are ISO 8601 with a zone; keys are hexadecimal; numbers are JSON numbers; sgc and
tariff_index are text, because their zeros count.  Fields that no operation knows are ignored
(a case name, a remark), unless they look like a misspelt one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, ClassVar, Final

from vending.sts import cipher_for
from vending.sts.amount import CodedAmount
from vending.sts.content import (
    CREDIT_CLASS,
    ENCRYPTED_CLASSES,
    MANAGEMENT_CLASS,
    TEST_CLASS,
    ClearCredit,
    ClearTamperCondition,
    Content,
    CurrencyCredit,
    InitiateMeterTest,
    Proprietary,
    Reserved,
    Service,
    Set1stSectionDecoderKey,
    Set2ndSectionDecoderKey,
    Set3rdSectionDecoderKey,
    Set4thSectionDecoderKey,
    SetMaximumPhasePowerUnbalanceLimit,
    SetMaximumPowerLimit,
    SetTariffRate,
    SetWaterMeterFactor,
    StampedContent,
    TransferCredit,
    require_normal_tid,
    token_name,
)
from vending.sts.decoder_key import KeyAttributes, derive_decoder_key
from vending.sts.errors import InvalidValueError, KeyChangeError, NotIssuableError, StsError
from vending.sts.identity import (
    EncryptionAlgorithm,
    KeyGeneration,
    MeterPan,
    parse_key_expiry,
    parse_key_revision,
    parse_key_type,
    parse_supply_group_code,
    parse_tariff_index,
    require_range,
)
from vending.sts.key_change import KeyChange, key_change_tokens
from vending.sts.keys import DecoderKey, VendingKey
from vending.sts.sta import SAMPLE_TABLES, StaTables
from vending.sts.tid import (
    TID_MAX,
    BaseDate,
    parse_base_date,
    require_not_expired,
    tid_at,
    time_of,
)
from vending.sts.token import TokenCipher, decode, encode, untranspose

Record = Mapping[str, Any]

_CIPHERS_KEPT: Final = 4096


class MissingFieldError(StsError):
    """A field that the operation needs is not there."""

    code: ClassVar[str] = "missing_field"


class UnknownFieldError(StsError):
    """A field looks like a misspelt one; guessing would change the token."""

    code: ClassVar[str] = "unknown_field"


_OWN_FIELDS: Final = {
    "control": TEST_CLASS,
    "amount": CREDIT_CLASS,
    "max_power_limit_w": MANAGEMENT_CLASS,
    "register": MANAGEMENT_CLASS,
    "rate": MANAGEMENT_CLASS,
    "mppul_w": MANAGEMENT_CLASS,
    "wm_factor": MANAGEMENT_CLASS,
}
"""The field that makes a token what it is, and its class."""
_ENCODE_FIELDS: Final = (
    frozenset(
        "ea decoder_key class subclass base_year issued_at tid rnd manufacturer_code pad ken "
        "tables".split()
    )
    | _OWN_FIELDS.keys()
)
_DECODE_FIELDS: Final = frozenset("token ea decoder_key base_year tables".split())
_DECODER_KEY_FIELDS: Final = frozenset(
    "dkga ea vending_key meter_pan sgc tariff_index krn key_type base_year".split()
)
_KEY_CHANGE_FIELDS: Final = frozenset(
    "ea old_key new_key ken krn key_type tariff_index sgc rollover three_tokens tables".split()
)
_ALL_FIELDS: Final = (
    _ENCODE_FIELDS
    | _DECODE_FIELDS
    | _DECODER_KEY_FIELDS
    | _KEY_CHANGE_FIELDS
    | {"tokens", "rounding", "name", "crc_ok"}
)


class _Fields:
    """Typed access to a record, with errors that name the field."""

    __slots__ = ("_record",)

    def __init__(self, record: Record, known: frozenset[str]) -> None:
        self._record = record
        for name in record:
            if name not in _ALL_FIELDS:
                close = get_close_matches(name, known, n=1, cutoff=0.8)
                if close:
                    raise UnknownFieldError(f"Field {name!r} is unknown; is it {close[0]!r}?")

    def has(self, name: str) -> bool:
        return self._record.get(name) is not None

    def _get(self, name: str) -> Any:
        value = self._record.get(name)
        if value is None:
            raise MissingFieldError(f"Field {name!r} is missing.")
        return value

    def number(self, name: str) -> int:
        value = self._get(name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise InvalidValueError(f"Field {name!r} must be a whole number.")
        return value

    def text(self, name: str) -> str:
        value = self._get(name)
        if not isinstance(value, str):
            raise InvalidValueError(f"Field {name!r} must be text in quotes.")
        return value

    def flag(self, name: str) -> bool:
        value = self._record.get(name, False)
        if value is not None and not isinstance(value, bool):
            raise InvalidValueError(f"Field {name!r} must be true or false.")
        return bool(value)

    def algorithm(self) -> EncryptionAlgorithm:
        number = self.number("ea")
        try:
            return EncryptionAlgorithm(number)
        except ValueError:
            raise InvalidValueError(
                f"Encryption algorithm {number} does not exist; use 7 (STA) or 11 (MISTY1)."
            ) from None

    def base_date(self) -> BaseDate:
        return parse_base_date(self.number("base_year"))

    def time(self, name: str) -> datetime:
        text = self.text(name)
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            raise InvalidValueError(
                f"Field {name!r} is no ISO 8601 time; write it as 2026-11-21T09:30:00Z."
            ) from None


class RecordEngine:
    """The four operations on records, with the ciphers of recent keys kept.

    Args:
        tables: STA tables for records that do not say ``"tables": "sample"``.
        allow_unconfirmed_3kct: build three-token key changes (``"three_tokens": true``).
    """

    def __init__(
        self, tables: StaTables = SAMPLE_TABLES, *, allow_unconfirmed_3kct: bool = False
    ) -> None:
        self._tables = tables
        self._allow_3kct = allow_unconfirmed_3kct
        self._cipher = lru_cache(maxsize=_CIPHERS_KEPT)(cipher_for)

    def encode(self, record: Record) -> dict[str, Any]:
        """Make a token: ``{"token", "tid", "rounding"?, "tables"?}``.

        Raises:
            StsError: whatever is wrong with the record.
        """
        fields = _Fields(record, _ENCODE_FIELDS)
        token_class = _token_class(fields)
        subclass = require_range("Subclass", fields.number("subclass"), 0, 15)
        if token_class == TEST_CLASS:
            test = _test_content(fields, subclass)
            return {"token": encode(test, None)}
        if token_class not in ENCRYPTED_CLASSES:
            raise _not_issuable(token_class, subclass)
        content = _stamped_content(fields, token_class, subclass)
        cipher = self._cipher_of(fields, "decoder_key")
        answer: dict[str, Any] = {"token": encode(content, cipher), "tid": content.tid}
        coded: CodedAmount | None = getattr(content, "coded", None)
        if coded is not None:
            answer["rounding"] = coded.rounding
        return answer | _mark(cipher)

    def decode(self, record: Record) -> dict[str, Any]:
        """Take a token apart: ``{"class", "subclass", "name", "crc_ok", …fields…}``.

        A token whose CRC is wrong gives no fields, and its subclass and name are only what the
        key at hand makes of it: nothing that was decrypted can be trusted.

        Raises:
            StsError: whatever is wrong with the record.
        """
        fields = _Fields(record, _DECODE_FIELDS)
        digits = fields.text("token")
        _, token_class = untranspose(digits)
        encrypted = token_class in ENCRYPTED_CLASSES
        cipher = self._cipher_of(fields, "decoder_key") if encrypted else None
        decoded = decode(digits, cipher)
        base = fields.base_date() if fields.has("base_year") else None
        answer: dict[str, Any] = {
            "class": decoded.token_class,
            "subclass": decoded.subclass,
            "name": token_name(decoded.token_class, decoded.subclass),
            "crc_ok": decoded.crc_ok,
        }
        if decoded.content is not None:
            answer |= _content_fields(decoded.content, base)
        return answer | (_mark(cipher) if cipher is not None else {})

    def decoder_key(self, record: Record) -> dict[str, Any]:
        """Derive a decoder key: ``{"decoder_key"}``.

        Raises:
            StsError: whatever is wrong with the record.
        """
        fields = _Fields(record, _DECODER_KEY_FIELDS)
        generation = fields.number("dkga")
        require_range("DKGA", generation, 1, 4)
        dkga = KeyGeneration(generation)
        # DKGA02 does not know base dates, so a record for it need not have one.
        needless = dkga is KeyGeneration.DKGA02 and not fields.has("base_year")
        attributes = KeyAttributes(
            meter_pan=MeterPan.parse(fields.text("meter_pan")),
            sgc=parse_supply_group_code(fields.text("sgc")),
            krn=parse_key_revision(fields.number("krn")),
            key_type=parse_key_type(fields.number("key_type")),
            tariff_index=parse_tariff_index(fields.text("tariff_index")),
            base_date=BaseDate.Y1993 if needless else fields.base_date(),
            algorithm=fields.algorithm(),
        )
        vending_key = VendingKey.from_hex(fields.text("vending_key"))
        return {"decoder_key": derive_decoder_key(dkga, vending_key, attributes).secret.hex()}

    def key_change(self, record: Record) -> dict[str, Any]:
        """Make a key change set: ``{"tokens": [… in entry order …], "tables"?}``.

        Raises:
            StsError: whatever is wrong with the record.
        """
        fields = _Fields(record, _KEY_CHANGE_FIELDS)
        change = KeyChange(
            new_key=DecoderKey.from_hex(fields.text("new_key")),
            key_type=parse_key_type(fields.number("key_type")),
            krn=parse_key_revision(fields.number("krn")),
            tariff_index=parse_tariff_index(fields.text("tariff_index")),
            ken=parse_key_expiry(fields.number("ken")),
            sgc=parse_supply_group_code(fields.text("sgc")) if fields.has("sgc") else None,
            rollover=fields.flag("rollover"),
            three_tokens=fields.flag("three_tokens"),
        )
        old_key = DecoderKey.from_hex(fields.text("old_key"))
        cipher = self._cipher_of(fields, "old_key")
        tokens = key_change_tokens(change, old_key, cipher, allow_unconfirmed_3kct=self._allow_3kct)
        return {"tokens": list(tokens)} | _mark(cipher)

    def _cipher_of(self, fields: _Fields, key_field: str) -> TokenCipher:
        algorithm = fields.algorithm()
        key = DecoderKey.from_hex(fields.text(key_field))
        tables = self._tables
        if fields.has("tables"):
            if fields.text("tables") != "sample":
                raise InvalidValueError(
                    "Field 'tables' may only say \"sample\"; give others with --tables FILE."
                )
            tables = SAMPLE_TABLES
        return self._cipher(algorithm, key, tables)


def _mark(cipher: TokenCipher) -> dict[str, str]:
    """A token made with the standard's sample tables says so."""
    return {"tables": "sample"} if cipher.is_sample else {}


def _token_class(fields: _Fields) -> int:
    """The class as given, or as the token's own field tells."""
    own = [name for name in _OWN_FIELDS if fields.has(name)]
    if len(own) > 1:
        raise InvalidValueError(
            f"Fields {' and '.join(map(repr, own))} belong to different tokens; give one."
        )
    if fields.has("class"):
        return require_range("Class", fields.number("class"), 0, 3)
    if own:
        return _OWN_FIELDS[own[0]]
    raise MissingFieldError("Field 'class' is missing.")


def _not_issuable(token_class: int, subclass: int) -> StsError:
    name = token_name(token_class, subclass)
    return NotIssuableError(
        f"Class {token_class} subclass {subclass} is {name} and cannot be issued."
    )


def _test_content(fields: _Fields, subclass: int) -> InitiateMeterTest:
    if subclass > 1:
        raise _not_issuable(TEST_CLASS, subclass)
    return InitiateMeterTest(
        control=fields.number("control"),
        manufacturer_code=fields.number("manufacturer_code"),
        four_digit_manufacturer=subclass == 1,
    )


def _stamped_content(fields: _Fields, token_class: int, subclass: int) -> StampedContent:
    """The content of a token that carries RND and TID."""
    if token_class == MANAGEMENT_CLASS and subclass in (3, 4, 8, 9):
        raise KeyChangeError("Key change tokens belong together: make the set with key-change.")
    if token_name(token_class, subclass) in (Reserved.name, Proprietary.name):
        raise _not_issuable(token_class, subclass)
    if token_class == CREDIT_CLASS and subclass > 3:
        CurrencyCredit(Service(subclass - 4), 0, 0, 0).content()  # refuses, and says why
    rnd, tid = fields.number("rnd"), _tid(fields)
    if token_class == CREDIT_CLASS:
        return TransferCredit(Service(subclass), rnd, tid, fields.number("amount"))
    if subclass == 0:
        return SetMaximumPowerLimit(rnd, tid, fields.number("max_power_limit_w"))
    if subclass == 1:
        return ClearCredit(rnd, tid, fields.number("register"))
    if subclass == 2:
        return SetTariffRate(rnd, tid, fields.number("rate"))
    if subclass == 5:
        return ClearTamperCondition(rnd, tid, fields.number("pad") if fields.has("pad") else 0)
    if subclass == 6:
        return SetMaximumPhasePowerUnbalanceLimit(rnd, tid, fields.number("mppul_w"))
    return SetWaterMeterFactor(rnd, tid, fields.number("wm_factor"))


def _tid(fields: _Fields) -> int:
    """The TID of the time of issue, or the one given; both must agree."""
    given = fields.number("tid") if fields.has("tid") else None
    if given is not None:
        require_range("Token identifier (TID)", given, 0, TID_MAX)
        require_normal_tid(given)
    if given is None or fields.has("issued_at"):
        due = tid_at(fields.time("issued_at"), fields.base_date())
        if given is not None and given != due:
            raise InvalidValueError(
                f"Fields 'tid' ({given}) and 'issued_at' (TID {due}) do not agree; give one."
            )
        given = due
    if fields.has("ken"):
        require_not_expired(given, parse_key_expiry(fields.number("ken")))
    return given


def _content_fields(content: Content, base: BaseDate | None) -> dict[str, Any]:
    """The fields of an authentic token, under the names of `encode` and `key_change`."""
    match content:
        case InitiateMeterTest():
            return {"control": content.control, "manufacturer_code": content.manufacturer_code}
        case Set1stSectionDecoderKey():
            return {
                "ken_high": content.ken_high,
                "krn": content.krn,
                "rollover": content.rollover,
                "three_tokens": content.three_tokens,
                "key_type": int(content.key_type),
                "nkho": f"{content.key_section:08x}",
            }
        case Set2ndSectionDecoderKey():
            return {
                "ken_low": content.ken_low,
                "tariff_index": f"{content.tariff_index:02d}",
                "nklo": f"{content.key_section:08x}",
            }
        case Set3rdSectionDecoderKey():
            return {"sgc_low": content.sgc_low, "nkmo2": f"{content.key_section:08x}"}
        case Set4thSectionDecoderKey():
            return {"sgc_high": content.sgc_high, "nkmo1": f"{content.key_section:08x}"}
        case Reserved() | Proprietary():
            return {"raw": f"{content.raw:011x}"}
    assert isinstance(content, StampedContent)
    stamp: dict[str, Any] = {"rnd": content.rnd, "tid": content.tid}
    if base is not None:
        stamp["issued_at"] = time_of(content.tid, base).strftime("%Y-%m-%dT%H:%M:%SZ")
    match content:
        case TransferCredit():
            return stamp | {"service": content.service.name.lower(), "amount": content.amount}
        case CurrencyCredit():
            service = content.service.name.lower()
            return stamp | {"service": service, "raw_amount": content.raw_amount}
        case SetMaximumPowerLimit():
            return stamp | {"max_power_limit_w": content.limit_w}
        case ClearCredit():
            return stamp | {"register": content.register}
        case SetTariffRate():
            return stamp | {"rate": content.rate}
        case ClearTamperCondition():
            return stamp | {"pad": content.pad}
        case SetMaximumPhasePowerUnbalanceLimit():
            return stamp | {"mppul_w": content.limit_w}
        case SetWaterMeterFactor():
            return stamp | {"wm_factor": content.factor}
