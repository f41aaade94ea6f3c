"""The meter against a small model of its own, through any sequence of events.

The model counts second by second and token by token, in the plainest way; the meter must agree
with it to the watt-second, in every answer, and across every power cut with its file.
"""

import tempfile
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from hypothesis import assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)

from simulators import ConstantLoad, KeypadMeter, MeterKey, Nameplate, OpenReason
from simulators.moments import second_of
from simulators.results import Outcome
from simulators.state_file import load_state, save_state
from tests.simulators.workbench import KEYS, OTHER_KEYS, PAN, SGC, START
from vending.sts import (
    ClearCredit,
    ClearTamperCondition,
    Content,
    DecoderKey,
    EncryptionAlgorithm,
    InitiateMeterTest,
    InvalidValueError,
    KeyChange,
    KeyExpiry,
    KeyRevision,
    KeyType,
    Service,
    Set1stSectionDecoderKey,
    Set2ndSectionDecoderKey,
    Set3rdSectionDecoderKey,
    Set4thSectionDecoderKey,
    SetMaximumPowerLimit,
    SetTariffRate,
    TariffIndex,
    TokenFormatError,
    TransferCredit,
    cipher_for,
    decode,
    encode,
)
from vending.sts.token import untranspose

CREDIT_MAX_WH = 60_000
WAITING = {3: "1stKCT", 4: "2ndKCT", 8: "3rdKCT", 9: "4thKCT"}
Section = (
    Set1stSectionDecoderKey
    | Set2ndSectionDecoderKey
    | Set3rdSectionDecoderKey
    | Set4thSectionDecoderKey
)


@dataclass
class Model:
    """What a meter ought to be, kept as plainly as possible."""

    key: DecoderKey
    key_type: KeyType
    ken: int
    second: int
    watts: int = 0
    accepted: int = 0
    consumed: int = 0
    cleared: int = 0
    limit: int | None = None
    powered: bool = True
    cover: bool = False
    tampered: bool = False
    overloaded_for: int = 0
    overload_left: int = 0
    test_left: int = 0
    used: set[int] = field(default_factory=set)
    oldest_allowed: int = 0
    sections: dict[int, Section] = field(default_factory=dict)
    section_at: datetime = START
    rejections: int = 0
    locked_until: datetime = START

    @property
    def credit(self) -> int:
        return self.accepted - self.consumed - self.cleared

    @property
    def closed(self) -> bool:
        held = self.cover or self.tampered or self.overload_left > 0 or self.test_left > 0
        return self.credit > 0 and not held

    def look(self) -> None:
        """What the meter notices at the beginning of a second."""
        over = self.closed and self.limit is not None and self.watts > self.limit
        if not over:
            self.overloaded_for = 0
        elif self.overloaded_for >= 10:
            self.overloaded_for, self.overload_left = 0, 60

    def run_to(self, second: int) -> None:
        for _ in range(second - self.second):
            if self.powered:
                self.look()
                if self.closed:
                    self.overloaded_for += 1
                    self.consumed += min(self.watts, self.credit)
            self.overload_left = max(0, self.overload_left - 1)
            self.test_left = max(0, self.test_left - 1)
        self.second = second
        if self.powered:
            self.look()

    # --- tokens ---

    def answer(self, content: Content | None, now: datetime) -> str:
        """The outcome's name; None is a token that is not authentic."""
        locked = now < self.locked_until
        if locked and not isinstance(content, InitiateMeterTest):
            return "Locked"
        outcome = "CRCError" if content is None else self.apply(content, now)
        if outcome == "Accept" or outcome.endswith("KCT"):
            if not isinstance(content, InitiateMeterTest):
                self.rejections, self.locked_until = 0, START
        elif not locked:
            self.rejections += 1
            if self.rejections >= 3:
                lock_s = min(1280, 10 * 2 ** (self.rejections - 3))
                self.locked_until = now + timedelta(seconds=lock_s)
        return outcome

    def apply(self, content: Content, now: datetime) -> str:
        if isinstance(content, InitiateMeterTest):
            if content.control & 3:
                self.test_left = 3
            return "Accept"
        if isinstance(content, Section):
            return self.section(content, now)
        tid = content.tid  # type: ignore[attr-defined]
        if tid in self.used and tid >= self.oldest_allowed:
            return "UsedError"
        if tid < self.oldest_allowed:
            return "OldError"
        if tid >> 16 > self.ken:
            return "KeyExpiredError"
        if isinstance(content, TransferCredit) and self.key_type is KeyType.DEFAULT:
            return "DDTKError"
        refusal = self.carry_out(content)
        if refusal is None:
            self.used.add(tid)
            if len(self.used) >= 50:
                self.oldest_allowed = sorted(self.used)[-50]
        return refusal or "Accept"

    def carry_out(self, content: Content) -> str | None:
        match content:
            case TransferCredit(service=Service.ELECTRICITY):
                if self.credit + content.amount * 360_000 > CREDIT_MAX_WH * 3_600:
                    return "OverflowError"
                self.accepted += content.amount * 360_000
            case SetMaximumPowerLimit():
                self.limit, self.overloaded_for, self.overload_left = content.limit_w, 0, 0
            case ClearCredit():
                if content.register not in (0, 0xFFFF):
                    return "RangeError"
                self.cleared += self.credit
            case ClearTamperCondition():
                self.tampered = False
            case _:
                return "FunctionError"
        return None

    def section(self, content: Section, now: datetime) -> str:
        if now >= self.section_at + timedelta(seconds=900):
            self.sections.clear()
        if content.subclass in self.sections and self.sections[content.subclass] != content:
            self.sections.clear()
        self.sections[content.subclass] = content
        self.section_at = now
        if len(self.sections) < self.key.bits // 32:
            return WAITING[content.subclass]
        order = (3, 4) if self.key.bits == 64 else (3, 8, 9, 4)
        first, second = self.sections[3], self.sections[4]
        words = [self.sections[place].key_section for place in order]
        self.sections = {}
        key = DecoderKey(b"".join(word.to_bytes(4, "big") for word in words))
        assert isinstance(first, Set1stSectionDecoderKey)
        assert isinstance(second, Set2ndSectionDecoderKey)
        if first.rollover and key == self.key:
            return "FormatError"
        if first.rollover:
            self.used, self.oldest_allowed = set(), 0
        self.key, self.key_type = key, first.key_type
        self.ken = first.ken_high << 4 | second.ken_low
        return "Accept"


tids = st.integers(0, 400).map(lambda n: n * 3 + 1_000) | st.integers(0, 3).map(
    lambda n: 0x40_0000 * n + 77
)


class MeterMachine(RuleBasedStateMachine):
    """Everything that can happen to a meter."""

    tokens = Bundle("tokens")

    @initialize(
        algorithm=st.sampled_from([EncryptionAlgorithm.STA, EncryptionAlgorithm.MISTY1]),
        key_type=st.sampled_from([KeyType.DEFAULT, KeyType.UNIQUE, KeyType.COMMON]),
        credit_wh=st.integers(0, 3_000),
        ken=st.sampled_from([255, 0x7F]),
        watts=st.sampled_from([0, 500, 2_000]),
        limit=st.sampled_from([None, 1_500]),
    )
    def put_up(
        self,
        algorithm: EncryptionAlgorithm,
        key_type: KeyType,
        credit_wh: int,
        ken: int,
        watts: int,
        limit: int | None,
    ) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.now = START
        self.algorithm = algorithm
        key = KEYS[algorithm]
        self.meter = KeypadMeter.new(
            Nameplate(PAN, algorithm, credit_max_wh=CREDIT_MAX_WH),
            MeterKey(key, key_type, SGC, KeyRevision(1), TariffIndex("01"), KeyExpiry(ken)),
            START,
            ConstantLoad(watts),
            credit_wh=credit_wh,
            power_limit_w=limit,
        )
        self.model = Model(key, key_type, ken, second_of(START), watts)
        self.model.accepted, self.model.limit = credit_wh * 3_600, limit

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.folder.cleanup()

    # --- tokens are made under the key of the moment, and may be entered much later ---

    def made(self, content: Content) -> tuple[str, Content, DecoderKey]:
        key = self.model.key
        return encode(content, cipher_for(self.algorithm, key)), content, key

    @rule(target=tokens, tid=tids, units=st.integers(0, 300), water=st.integers(0, 9))
    def credit(self, tid: int, units: int, water: int) -> tuple[str, Content, DecoderKey]:
        service = Service.WATER if water == 0 else Service.ELECTRICITY
        return self.made(TransferCredit(service, 5, tid, units))

    @rule(
        target=tokens,
        content=st.one_of(
            st.builds(SetMaximumPowerLimit, st.just(5), tids, st.integers(0, 4_000)),
            st.builds(ClearCredit, st.just(5), tids, st.sampled_from([0, 1, 4, 0xFFFF])),
            st.builds(ClearTamperCondition, st.just(5), tids),
            st.builds(SetTariffRate, st.just(5), tids, st.just(9)),
            st.builds(InitiateMeterTest, st.integers(1, 255)),
        ),
    )
    def management(self, content: Content) -> tuple[str, Content, DecoderKey]:
        return self.made(content)

    @rule(
        target=tokens,
        place=st.integers(0, 3),
        back=st.booleans(),
        rollover=st.booleans(),
        ken=st.sampled_from([255, 0x7F]),
    )
    def key_section(
        self, place: int, back: bool, rollover: bool, ken: int
    ) -> tuple[str, Content, DecoderKey]:
        return self.made(self.sections(back, rollover, ken)[place % (self.model.key.bits // 32)])

    def sections(self, back: bool, rollover: bool, ken: int) -> tuple[Section, ...]:
        change = KeyChange(
            new_key=(KEYS if back else OTHER_KEYS)[self.algorithm],
            key_type=KeyType.UNIQUE,
            krn=KeyRevision(2 if rollover else 3),
            tariff_index=TariffIndex("02"),
            ken=KeyExpiry(ken),
            sgc=SGC,
            rollover=rollover,
        )
        return change.sections()

    # --- and entered ---

    def enter(self, digits: str, content: Content | None) -> None:
        assume(self.model.powered)
        self.meter.advance(self.now)
        result = self.meter.enter_token(digits, self.now)
        assert result.outcome.value == self.model.answer(content, self.now)
        self.model.look()
        assert result.credit_wh == self.model.credit // 3_600
        assert (result.credit_added_wh > 0) <= (result.outcome is Outcome.ACCEPT)

    def enter_made(self, token: tuple[str, Content, DecoderKey]) -> None:
        digits, content, key = token
        if key == self.model.key or isinstance(content, InitiateMeterTest):
            self.enter(digits, content)
        else:
            assume(not self.is_authentic(digits))
            self.enter(digits, None)

    def is_authentic(self, digits: str) -> bool:
        """Whether a wrong token slips through the CRC, as one in 65,536 must."""
        try:
            return decode(digits, cipher_for(self.algorithm, self.model.key)).crc_ok
        except (InvalidValueError, TokenFormatError):
            return True

    @rule(token=tokens)
    def enter_one(self, token: tuple[str, Content, DecoderKey]) -> None:
        self.enter_made(token)

    @rule(token=tokens)
    def enter_one_twice(self, token: tuple[str, Content, DecoderKey]) -> None:
        self.enter_made(token)
        self.enter_made(token)

    @rule(first=st.integers(0, 350), count=st.integers(40, 60), units=st.integers(0, 2))
    def enter_many(self, first: int, count: int, units: int) -> None:
        for tid in range(first, first + count):
            content = TransferCredit(Service.ELECTRICITY, 5, tid * 3 + 1_000, units)
            self.enter_made(self.made(content))

    @rule(back=st.booleans(), rollover=st.booleans(), order=st.permutations(range(4)))
    def change_key(self, back: bool, rollover: bool, order: list[int]) -> None:
        made = [self.made(section) for section in self.sections(back, rollover, 255)]
        for place in order:
            if place < len(made):
                self.enter_made(made[place])

    @rule(token=tokens, place=st.integers(0, 19), step=st.integers(1, 9))
    def enter_mistyped(self, token: tuple[str, Content, DecoderKey], place: int, step: int) -> None:
        digits = token[0]
        wrong = digits[:place] + str((int(digits[place]) + step) % 10) + digits[place + 1 :]
        assume(not self.is_authentic(wrong))
        assume(self.model.powered)
        locked = self.now < self.model.locked_until
        if locked and untranspose(wrong)[1] == 1:
            assert self.meter.enter_token(wrong, self.now).outcome is Outcome.CRC_ERROR
        else:
            self.enter(wrong, None)

    # --- time, home and mains ---

    @rule(
        seconds=st.integers(0, 30) | st.integers(0, 400),
        us=st.sampled_from([0, 0, 1, 400_000, 999_999]),
    )
    def wait(self, seconds: int, us: int) -> None:
        self.now += timedelta(seconds=seconds, microseconds=us)
        self.model.run_to(second_of(self.now))
        self.meter.advance(self.now)

    @rule()
    def wait_long(self) -> None:
        self.wait(1_300, 0)

    @rule(watts=st.sampled_from([0, 1, 333, 2_000, 3_999, 60_000]))
    def load(self, watts: int) -> None:
        self.model.watts = watts
        self.meter.set_load(ConstantLoad(watts), self.now)
        if self.model.powered:
            self.model.look()

    @rule()
    def open_cover(self) -> None:
        self.model.cover = self.model.tampered = True
        self.meter.open_cover(self.now)
        if self.model.powered:
            self.model.look()

    @rule()
    def close_cover(self) -> None:
        self.model.cover = False
        self.meter.close_cover(self.now)
        if self.model.powered:
            self.model.look()

    @rule(seconds=st.integers(0, 120))
    def power_cut(self, seconds: int) -> None:
        """The process ends and begins again from its file."""
        self.meter.power_off(self.now)
        self.model.powered, self.model.overloaded_for = False, 0
        path = Path(self.folder.name) / "meter.json"
        save_state(self.meter.state, path)
        loaded = load_state(path)
        assert loaded == self.meter.state
        self.meter = KeypadMeter(loaded, self.meter.load)
        self.wait(seconds, 0)
        self.model.powered = True
        self.meter.power_on(self.now)
        self.model.look()

    @rule()
    def crash(self) -> None:
        """The same without warning: nothing but the file of now is left."""
        path = Path(self.folder.name) / "meter.json"
        save_state(self.meter.state, path)
        self.meter = KeypadMeter(load_state(path), self.meter.load)

    # --- always ---

    @invariant()
    def agrees_with_the_model(self) -> None:
        if not hasattr(self, "meter"):
            return
        registers, model = self.meter.registers, self.model
        figures = (
            registers.accepted_ws,
            registers.consumed_ws,
            registers.remaining_ws,
            registers.cleared_ws,
        )
        assert figures == (model.accepted, model.consumed, model.credit, model.cleared)
        assert registers.accepted_ws == sum(figures[1:])
        assert self.meter.is_lit == (model.closed and model.powered)
        assert (OpenReason.TAMPER in self.meter.open_reasons) == (model.cover or model.tampered)
        assert (OpenReason.CREDIT_EXHAUSTED in self.meter.open_reasons) == (model.credit == 0)
        assert self.meter.state.key.decoder_key == model.key
        assert list(self.meter.state.memory.tids) == sorted(model.used)[-50:]


TestMeterMachine = MeterMachine.TestCase
TestMeterMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
