"""Meters and the keys in them.

A meter is known by the number on its face (the DRN).  Its key is described by what it is
derived from; the key itself is nowhere here.  One key is in use at a time, and the row of the
meter is locked while a token is made for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Select, bindparam, insert, select, update

from storage.prepared import Prepared, Values, ask_ahead
from vending.shop.agreed import agreed
from vending.shop.faults import (
    InvalidSettingError,
    KeyTypeError,
    MeterExistsError,
    UnknownMeterError,
)
from vending.shop.resources import Resource, parse_resource
from vending.shop.settings import require_line
from vending.shop.tables import meter_keys, meters
from vending.shop.values import pan_of, require_text, require_whole
from vending.sts import (
    BaseDate,
    EncryptionAlgorithm,
    InvalidValueError,
    KeyAttributes,
    KeyExpiry,
    KeyRevision,
    KeyType,
    MeterPan,
    SupplyGroupCode,
    TariffIndex,
    parse_base_date,
    parse_key_expiry,
    parse_key_revision,
    parse_key_type,
    parse_supply_group_code,
    parse_tariff_index,
)
from vending.sts.public_test_key import TEST_SUPPLY_GROUP

_THIS_METER: Final = meters.c.number == bindparam("face")
_LOCK: Final = Prepared(
    select(meters.c.meter_id).where(_THIS_METER).with_for_update(key_share=True)
)
_WITH_KEY: Final[Select[Any]] = select(
    meters.c.meter_id,
    meters.c.number,
    meters.c.algorithm,
    meters.c.customer,
    meters.c.location,
    meters.c.blocked,
    meters.c.account,
    meters.c.resource,
    meters.c.service_point,
    meters.c.tariff_id,
    meters.c.minimum_minor,
    meters.c.maximum_minor,
    meters.c.has_dues,
    meter_keys.c.meter_key_id,
    meter_keys.c.sgc,
    meter_keys.c.krn,
    meter_keys.c.key_type,
    meter_keys.c.tariff_index,
    meter_keys.c.base_year,
    meter_keys.c.ken,
).join(
    meter_keys,
    (meter_keys.c.meter_id == meters.c.meter_id) & (meter_keys.c.state == "in_use"),
)
_FIND: Final = Prepared(_WITH_KEY.where(_THIS_METER))


@dataclass(frozen=True, slots=True)
class MeterKey:
    """What a meter's decoder key depends on besides the meter and the vending key."""

    sgc: SupplyGroupCode
    krn: KeyRevision
    key_type: KeyType
    tariff_index: TariffIndex
    base_date: BaseDate
    ken: KeyExpiry

    @classmethod
    def checked(
        cls, *, sgc: str, krn: int, key_type: int, tariff_index: str, base_year: int, ken: int
    ) -> MeterKey:
        """Read plain values.

        Raises:
            RequestFormatError: a value of the wrong type.
            InvalidValueError: a value out of its range.
            KeyTypeError: an initialisation key (KT 0), which never leaves the factory.
        """
        for what, text in (("A supply group code", sgc), ("A tariff index", tariff_index)):
            require_text(what, text)
        for what, number in (
            ("A key revision number", krn),
            ("A key type", key_type),
            ("A base year", base_year),
            ("A key expiry number", ken),
        ):
            require_whole(what, number)
        key_type = parse_key_type(key_type)
        if key_type is KeyType.INITIALISATION:
            raise KeyTypeError("Initialisation keys (KT 0) never leave the factory.")
        return cls(
            parse_supply_group_code(sgc),
            parse_key_revision(krn),
            key_type,
            parse_tariff_index(tariff_index),
            parse_base_date(base_year),
            parse_key_expiry(ken),
        )


@dataclass(frozen=True, slots=True)
class NewMeter:
    """A meter to register.  The defaults are the public test group's."""

    number: str
    """11 or 13 digits as printed on the meter; spaces and dashes are ignored."""
    customer: str = ""
    location: str = ""
    algorithm: int = EncryptionAlgorithm.MISTY1
    """EA: 7 (STA) or 11 (MISTY1)."""
    sgc: str = TEST_SUPPLY_GROUP
    krn: int = 1
    key_type: int = KeyType.UNIQUE
    tariff_index: str = "01"
    base_year: int = BaseDate.Y2014
    ken: int = 255
    account: str = ""
    """The customer's account number."""
    id_number: str = field(default="", repr=False)
    """The customer's identity number; looked up by, never shown."""
    service_point: str = ""
    """Where the supply is; block tariffs and free units go by it.  Empty: the meter itself."""
    resource: str = Resource.ELECTRICITY
    minimum_minor: int | None = None
    """This meter's smallest sale; None: the shop's."""
    maximum_minor: int | None = None
    """This meter's largest sale; None: the shop's."""


@dataclass(frozen=True, slots=True)
class Meter:
    """A registered meter."""

    meter_id: int
    pan: MeterPan
    algorithm: EncryptionAlgorithm
    customer: str
    location: str
    blocked: str | None
    """Why sales to it are blocked; None when they are not."""
    key_id: int
    """Which of its keys is in use."""
    key: MeterKey
    account: str = ""
    resource: Resource = Resource.ELECTRICITY
    service_point: str = ""
    tariff_id: int | None = None
    minimum_minor: int | None = None
    maximum_minor: int | None = None
    has_dues: bool = False
    """Whether debts are open or change is kept: a sale looks for them only then."""

    @property
    def point(self) -> str:
        """What counts a month's units: the service point, or else the meter itself."""
        return self.service_point or f"meter {self.number}"

    @property
    def number(self) -> str:
        """The number on the meter's face."""
        return self.pan.drn

    def attributes(self, key: MeterKey | None = None) -> KeyAttributes:
        """What the security module needs to know for the key in use, or for another one."""
        key = key or self.key
        return KeyAttributes(
            meter_pan=self.pan,
            sgc=key.sgc,
            krn=key.krn,
            key_type=key.key_type,
            tariff_index=key.tariff_index,
            base_date=key.base_date,
            algorithm=self.algorithm,
        )


def checked_meter(
    new: NewMeter,
) -> tuple[MeterPan, EncryptionAlgorithm, Resource, MeterKey]:
    """What a meter's plain values say.  Pure.

    Raises:
        CheckDigitError, RequestFormatError, InvalidValueError, InvalidSettingError, KeyTypeError:
            which of them is wrong.
    """
    pan = _pan(new.number)
    key = MeterKey.checked(
        sgc=new.sgc,
        krn=new.krn,
        key_type=new.key_type,
        tariff_index=new.tariff_index,
        base_year=new.base_year,
        ken=new.ken,
    )
    algorithm = _algorithm(new.algorithm)
    require_line("The customer's name", new.customer)
    require_line("The location", new.location)
    for what, text in (
        ("The account", new.account),
        ("The id number", new.id_number),
        ("The service point", new.service_point),
    ):
        require_line(what, text)
    resource = parse_resource(new.resource)
    require_limits(new.minimum_minor, new.maximum_minor)
    return pan, algorithm, resource, key


def insert_meter(connection: Connection, new: NewMeter, added_at: datetime) -> Meter:
    """Register a meter with the key that is in it.

    Raises:
        CheckDigitError: the number was mistyped; the message names the digit.
        RequestFormatError: a value of the wrong type.
        InvalidValueError: a value out of its range.
        MeterExistsError: it is registered already.
    """
    pan, algorithm, resource, key = checked_meter(new)
    if connection.scalar(select(meters.c.meter_id).where(meters.c.number == pan.drn)) is not None:
        raise MeterExistsError(f"Meter {pan.drn} is registered already.")
    meter_id: int = connection.execute(
        insert(meters).returning(meters.c.meter_id),
        {
            "number": pan.drn,
            "algorithm": int(algorithm),
            "customer": new.customer,
            "location": new.location,
            "added_at": added_at,
            "account": new.account,
            "id_number": new.id_number,
            "service_point": new.service_point,
            "resource": resource.value,
            "minimum_minor": new.minimum_minor,
            "maximum_minor": new.maximum_minor,
        },
    ).scalar_one()
    key_id = insert_key(connection, meter_id, key, state="in_use")
    return Meter(
        meter_id,
        pan,
        algorithm,
        new.customer,
        new.location,
        None,
        key_id,
        key,
        account=new.account,
        resource=resource,
        service_point=new.service_point,
        minimum_minor=new.minimum_minor,
        maximum_minor=new.maximum_minor,
    )


def insert_key(connection: Connection, meter_id: int, key: MeterKey, *, state: str) -> int:
    """Write down a key of a meter; gives its id."""
    key_id: int = connection.execute(
        insert(meter_keys).returning(meter_keys.c.meter_key_id),
        {"meter_id": meter_id, "state": state, **_key_columns(key)},
    ).scalar_one()
    return key_id


def key_id_of(connection: Connection, meter_id: int, key: MeterKey) -> int | None:
    """The id of a key that the meter has had before, or None."""
    same = [meter_keys.c[name] == value for name, value in _key_columns(key).items()]
    key_id: int | None = connection.scalar(
        select(meter_keys.c.meter_key_id).where(meter_keys.c.meter_id == meter_id, *same)
    )
    return key_id


def replace_key(connection: Connection, old_key_id: int, new_key_id: int) -> None:
    """From now on tokens are made under the new key."""
    for key_id, state in ((old_key_id, "replaced"), (new_key_id, "in_use")):
        connection.execute(
            update(meter_keys).where(meter_keys.c.meter_key_id == key_id).values(state=state)
        )


@agreed
def find_meter(connection: Connection, number: str, *, lock: bool = False) -> Meter:
    """Look a meter up by the number on its face.

    Args:
        connection: in any transaction; a write transaction for ``lock``.
        number: 11 or 13 digits; spaces and dashes are ignored.
        lock: keep others from making tokens for it until this transaction ends (PostgreSQL;
            a SQLite write transaction is alone anyway).

    Raises:
        CheckDigitError, InvalidValueError, RequestFormatError: not a meter number.
        UnknownMeterError: not registered.
    """
    pan = _pan(number)
    if lock:
        ask_ahead(connection, asks_meter(number))
    row = _FIND.first(connection, {"face": pan.drn})
    if row is None:
        raise UnknownMeterError(
            f"Meter {pan.drn} is not registered here: compare the number with the meter's face, "
            "or register it first."
        )
    return _meter(row)


def asks_meter(number: str) -> list[tuple[Prepared, Values]]:
    """What `find_meter` asks when it locks.

    The lock is a statement of its own: what follows must see what the lock waited for.
    """
    face = {"face": _pan(number).drn}
    return [(_LOCK, face), (_FIND, face)]


def list_meters(connection: Connection, after: str, limit: int) -> list[Meter]:
    """The next ``limit`` meters by number, beginning behind the number ``after``."""
    rows = connection.execute(
        _WITH_KEY.where(meters.c.number > after).order_by(meters.c.number).limit(limit)
    )
    return [_meter(row) for row in rows]


def keys_of(connection: Connection, meter_id: int) -> list[MeterKey]:
    """All keys a meter has had: the one in use first, then the latest."""
    rows = connection.execute(
        select(meter_keys)
        .where(meter_keys.c.meter_id == meter_id)
        .order_by((meter_keys.c.state == "in_use").desc(), meter_keys.c.meter_key_id.desc())
    )
    return [_key(row) for row in rows]


def set_blocked(connection: Connection, meter_id: int, reason: str | None) -> None:
    """Block sales to a meter for a reason, or open them again (None)."""
    connection.execute(update(meters).where(meters.c.meter_id == meter_id).values(blocked=reason))


def set_limits(
    connection: Connection, meter_id: int, minimum_minor: int | None, maximum_minor: int | None
) -> None:
    """Give a meter limits of its own; None: the shop's."""
    connection.execute(
        update(meters)
        .where(meters.c.meter_id == meter_id)
        .values(minimum_minor=minimum_minor, maximum_minor=maximum_minor)
    )


def require_limits(minimum_minor: int | None, maximum_minor: int | None) -> None:
    """Check a meter's own limits.

    Raises:
        InvalidSettingError: no whole number, not above zero, or the wrong way round.
    """
    limits = [limit for limit in (minimum_minor, maximum_minor) if limit is not None]
    for limit in limits:
        if require_whole("A meter's limit", limit, fault=InvalidSettingError) <= 0:
            raise InvalidSettingError("A meter's limits must be above zero.")
    if len(limits) == 2 and limits[0] > limits[1]:
        raise InvalidSettingError("A meter's smallest sale must not be above its largest.")


def _pan(number: str) -> MeterPan:
    return pan_of(require_text("A meter number", number))


def _meter(row: Any) -> Meter:
    return Meter(
        meter_id=row.meter_id,
        pan=pan_of(row.number),
        algorithm=EncryptionAlgorithm(row.algorithm),
        customer=row.customer,
        location=row.location,
        blocked=row.blocked,
        key_id=row.meter_key_id,
        key=_key(row),
        account=row.account,
        resource=Resource(row.resource),
        service_point=row.service_point,
        tariff_id=row.tariff_id,
        minimum_minor=row.minimum_minor,
        maximum_minor=row.maximum_minor,
        has_dues=bool(row.has_dues),
    )


def _key(row: Any) -> MeterKey:
    return MeterKey(
        SupplyGroupCode(row.sgc),
        KeyRevision(row.krn),
        KeyType(row.key_type),
        TariffIndex(row.tariff_index),
        BaseDate(row.base_year),
        KeyExpiry(row.ken),
    )


def _key_columns(key: MeterKey) -> dict[str, int | str]:
    return {
        "sgc": key.sgc,
        "krn": key.krn,
        "key_type": int(key.key_type),
        "tariff_index": key.tariff_index,
        "base_year": int(key.base_date),
        "ken": key.ken,
    }


def _algorithm(number: int) -> EncryptionAlgorithm:
    if require_whole("An encryption algorithm", number) not in (
        EncryptionAlgorithm.STA,
        EncryptionAlgorithm.MISTY1,
    ):
        raise InvalidValueError(
            f"Encryption algorithm {number} is not supported; use 7 (STA) or 11 (MISTY1)."
        )
    return EncryptionAlgorithm(number)
