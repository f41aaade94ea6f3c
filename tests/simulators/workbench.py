"""A meter on the bench, with a token maker that knows its key."""

from datetime import UTC, datetime, timedelta
from typing import Any

from simulators import ConstantLoad, KeypadMeter, LoadProfile, MeterKey, Nameplate
from simulators.results import Outcome, TokenResult
from vending.sts import (
    Content,
    DecoderKey,
    EncryptionAlgorithm,
    KeyChange,
    KeyExpiry,
    KeyRevision,
    KeyType,
    MeterPan,
    Service,
    SupplyGroupCode,
    TariffIndex,
    TransferCredit,
    encode,
)
from vending.sts.content import is_currency
from vending.sts.crc import currency_crc, token_crc
from vending.sts.token import transpose

START = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
PAN = MeterPan.from_drn("01234567897")
SGC = SupplyGroupCode("123457")
KEYS = {
    EncryptionAlgorithm.STA: DecoderKey.from_hex("e653341f9d5bf36f"),
    EncryptionAlgorithm.MISTY1: DecoderKey.from_hex("f94b6ed353c3bfdb113e2d3a7ea3c41d"),
}
OTHER_KEYS = {
    EncryptionAlgorithm.STA: DecoderKey.from_hex("060b8643c59a27f1"),
    EncryptionAlgorithm.MISTY1: DecoderKey.from_hex("b208834372ef892ef6e04c28593090d4"),
}
MISTY1 = EncryptionAlgorithm.MISTY1
STA = EncryptionAlgorithm.STA


class Bench:
    """A meter, the time on the bench, and tokens under the meter's key of the moment."""

    def __init__(
        self,
        algorithm: EncryptionAlgorithm = MISTY1,
        *,
        load: LoadProfile | int = 0,
        credit_wh: int = 0,
        power_limit_w: int | None = None,
        key_type: KeyType = KeyType.UNIQUE,
        ken: int = 255,
        pan: MeterPan = PAN,
        decoder_key: DecoderKey | None = None,
        **ratings: Any,
    ) -> None:
        self.now = START
        self.tid = 1000
        key = MeterKey(
            decoder_key or KEYS[algorithm],
            key_type,
            SGC,
            KeyRevision(1),
            TariffIndex("01"),
            KeyExpiry(ken),
        )
        self.meter = KeypadMeter.new(
            Nameplate(pan, algorithm, **ratings),
            key,
            self.now,
            ConstantLoad(load) if isinstance(load, int) else load,
            credit_wh=credit_wh,
            power_limit_w=power_limit_w,
        )

    def wait(self, seconds: int = 0, **more: int) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds, **more)
        self.meter.advance(self.now)

    def token(self, content: Content) -> str:
        """Under the meter's key of now."""
        return encode(content, self.meter.state.cipher())

    def credit(
        self, units: int, tid: int | None = None, service: Service = Service.ELECTRICITY
    ) -> str:
        """A credit token with the next TID, or the given one; a unit is 100 Wh."""
        return self.token(
            TransferCredit(service, 5, self.next_tid() if tid is None else tid, units)
        )

    def lit(self) -> bool:
        """Whether the home has electricity."""
        return self.meter.is_lit

    def next_tid(self) -> int:
        """A TID that no token of this bench has had."""
        self.tid += 10
        return self.tid

    def enter(self, token: str | Content) -> TokenResult:
        """Enter a token now."""
        digits = token if isinstance(token, str) else self.token(token)
        return self.meter.enter_token(digits, self.now)

    def outcome(self, token: str | Content) -> Outcome:
        """Enter a token now, for its outcome only."""
        return self.enter(token).outcome

    def raw(self, token_class: int, subclass: int, content: int = 0) -> str:
        """An authentic token with any 44 bits, also such as nobody may issue."""
        body = subclass << 44 | content
        crc = currency_crc if is_currency(token_class, subclass) else token_crc
        block = body << 16 | crc(token_class << 48 | body)
        if token_class in (0, 2):
            block = self.meter.state.cipher().encrypt(block)
        return transpose(block, token_class)

    def change(self, **changes: Any) -> tuple[str, ...]:
        """The tokens of a key change to the other key, in entry order."""
        algorithm = self.meter.nameplate.algorithm
        wanted: dict[str, Any] = {
            "new_key": OTHER_KEYS[algorithm],
            "key_type": KeyType.UNIQUE,
            "krn": KeyRevision(2),
            "tariff_index": TariffIndex("07"),
            "ken": KeyExpiry(0xC5),
            "sgc": SupplyGroupCode("600111") if algorithm is MISTY1 else None,
        }
        return tuple(map(self.token, KeyChange(**(wanted | changes)).sections()))
