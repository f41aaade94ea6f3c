"""Money and tokens over the wire: once, whatever becomes of the answer."""

from dataclasses import dataclass, field

import pytest

from protocols.dlt645 import Accepted, Answer, DataAnswer, ErrorByte, Refused, Request, WriteData
from protocols.dlt645.answers import SecurityAnswer
from protocols.dlt645.master import Outcome, PurchaseKind
from protocols.dlt645.requests import ReadData, Security
from protocols.dlt645.security import (
    IDENTITY_AUTHENTICATION,
    STATUS_QUERY,
    AuthenticationResult,
    IdentityAuthentication,
    Purchase,
)
from protocols.token_block import TokenBlockError, TokenResult, fingerprint
from protocols.token_block.dlt645 import REPORT_DI, TOKEN_DI, Value, decode_token, keypad_items
from protocols.transport import LinkOptions
from tests.protocols.dlt645.meters import (
    CLIENT,
    METER,
    NO_DATA,
    OTHER,
    PASSWORD,
    LineMeter,
    Losing,
    bcd,
    line_of,
)
from tests.protocols.transport.peers import in_loop

OPERATOR = "12345678"
SECURITY, WRITE = 0x03, 0x14
REPEATING = LinkOptions(
    delay_ms_first=250, delay_ms_max=400, margin_ms=50, retries=2, backoff_ms_first=20
)


def purchase(count: int, cents: int = 5000) -> Purchase:
    return Purchase(cents, count, b"MAC1", CLIENT, b"MAC2")


class PurseMeter(LineMeter):
    """A meter that counts money; loses what a test says."""

    tells_status = True
    tells_records = True
    last_cents = 0

    def answer(self, request: Request, *, to_broadcast: bool) -> Answer | None:
        if isinstance(request, Security) and request.di == STATUS_QUERY and not self.tells_status:
            return NO_DATA
        if isinstance(request, Security) and request.di not in (
            STATUS_QUERY,
            IDENTITY_AUTHENTICATION,
        ):
            self.last_cents = Purchase.parse(request.data).amount_cents
        if isinstance(request, Security) and request.di == IDENTITY_AUTHENTICATION:
            return SecurityAnswer(request.di, AuthenticationResult(b"RND2", b"ESAMESAM").encode())
        if isinstance(request, ReadData) and request.di >> 16 == 0x0333 and self.tells_records:
            return self._record(request.di)
        return super().answer(request, to_broadcast=to_broadcast)

    def _record(self, di: int) -> Answer:
        nth = di & 0xFF
        if nth > self.purchases:
            return NO_DATA
        parts = {
            1: bytes.fromhex("0012211126"),
            2: bcd(self.purchases + 1 - nth, 2),
            3: bcd(self.last_cents, 4),
            4: bcd(0, 4),
            5: bcd(self.remaining_cents, 4),
            6: bcd(self.remaining_cents, 4),
        }
        return DataAnswer(di, parts[di >> 8 & 0xFF])


def sent_purchases(heard: list) -> int:  # type: ignore[type-arg]
    """How many frames moved money."""
    return sum(
        1
        for frame in heard
        if frame.control == SECURITY
        and frame.data[:4] in (b"\xff\x01\x01\x07", b"\xff\x02\x01\x07")
    )


class LosingPurchases:
    """A line that loses answers to purchases only."""

    def __init__(self, *, then_dead: bool = False) -> None:
        self.losing = Losing(SECURITY, then_dead=then_dead)

    def __call__(self, request, answer):  # type: ignore[no-untyped-def]
        is_query = request.data[:4] == STATUS_QUERY.to_bytes(4, "little")
        if request.control == SECURITY and is_query and not self.losing.lost:
            return Losing(0xFF)(request, answer)
        return self.losing(request, answer)


@in_loop
async def test_a_recharge_adds_once_and_may_be_given_again() -> None:
    meter = PurseMeter(purchases=4, remaining_cents=100)
    async with line_of(meter) as (master, line):
        result = await master.recharge(METER, purchase(5), OPERATOR)
        assert result.outcome is Outcome.DONE
        assert result.before is not None
        assert result.after is not None
        assert (result.before.count, result.after.count) == (4, 5)
        assert result.after.remaining_cents == 5100
        again = await master.recharge(METER, purchase(5), OPERATOR)
        assert again.outcome is Outcome.DONE
        assert not again.was_sent
        assert meter.remaining_cents == 5100
        assert sent_purchases(line.heard) == 1


@in_loop
async def test_another_purchase_under_a_used_count_is_found_out() -> None:
    async with line_of(PurseMeter(purchases=4)) as (master, line):
        await master.recharge(METER, purchase(5), OPERATOR)
        other = await master.recharge(METER, purchase(5, 9900), OPERATOR)
        assert other.outcome is Outcome.FAILED
        assert "5000 cents" in other.text
        assert sent_purchases(line.heard) == 1


@pytest.mark.parametrize("count", [3, 6])
def test_a_count_that_does_not_fit_is_not_sent(count: int) -> None:
    @in_loop
    async def run() -> None:
        async with line_of(PurseMeter(purchases=4)) as (master, line):
            result = await master.recharge(METER, purchase(count), OPERATOR)
            assert result.outcome is Outcome.FAILED
            assert not result.was_sent
            assert sent_purchases(line.heard) == 0

    run()


@pytest.mark.parametrize("tells_status", [True, False])
@pytest.mark.parametrize("carries_out", [True, False])
def test_a_lost_answer_is_settled_by_the_count(carries_out: bool, tells_status: bool) -> None:
    @in_loop
    async def run() -> None:
        meter = PurseMeter(purchases=4, carries_out=carries_out)
        meter.tells_status = tells_status
        meter.items[0x00900200] = bcd(0, 4)
        async with line_of(meter, mangle=LosingPurchases(), options=REPEATING) as (master, line):
            result = await master.recharge(METER, purchase(5), OPERATOR)
            assert result.outcome is (Outcome.DONE if carries_out else Outcome.FAILED)
            assert result.was_sent
            assert result.after is not None
            assert result.after.count == (5 if carries_out else 4)
            assert sent_purchases(line.heard) == 1

    run()


@in_loop
async def test_a_lost_answer_and_a_dead_meter_leave_money_unknown() -> None:
    meter = PurseMeter(purchases=4)
    async with line_of(meter, mangle=LosingPurchases(then_dead=True)) as (master, line):
        result = await master.recharge(METER, purchase(5), OPERATOR)
        assert result.outcome is Outcome.UNKNOWN
        assert result.after is None
        assert sent_purchases(line.heard) == 1


@in_loop
async def test_a_negative_answer_to_a_recharge_that_was_applied_is_done() -> None:
    meter = PurseMeter(purchases=4, refusal=Refused.of(ErrorByte.OTHER), does_nevertheless=True)
    async with line_of(meter) as (master, _):
        result = await master.recharge(METER, purchase(5), OPERATOR)
    assert result.outcome is Outcome.DONE
    assert result.refusal is not None


@in_loop
async def test_a_refusal_is_failed_and_a_silent_meter_is_not_paid() -> None:
    async with line_of(PurseMeter(refusal=Refused(b"\x40\x00", None))) as (master, line):
        result = await master.recharge(METER, purchase(1), OPERATOR)
        assert result.outcome is Outcome.FAILED
        assert "hoarding" in result.text
        silent = await master.recharge(OTHER, purchase(1), OPERATOR)
        assert silent.outcome is Outcome.FAILED
        assert not silent.was_sent
        assert sent_purchases(line.heard) == 1


@in_loop
async def test_accepted_without_a_new_count_is_not_believed() -> None:
    async with line_of(PurseMeter(carries_out=False)) as (master, _):
        result = await master.recharge(METER, purchase(1), OPERATOR)
    assert result.outcome is Outcome.UNKNOWN


@in_loop
async def test_an_account_is_opened_and_not_opened_twice() -> None:
    async with line_of(PurseMeter(), mangle=LosingPurchases()) as (master, line):
        result = await master.open_account(METER, purchase(1), OPERATOR)
        assert result.outcome is Outcome.DONE
        again = await master.open_account(METER, purchase(1), OPERATOR)
        assert again.outcome is Outcome.DONE
        assert not again.was_sent
        assert sent_purchases(line.heard) == 1


@in_loop
async def test_the_operators_module_makes_the_macs() -> None:
    class Module:
        async def authentication(self, meter: str) -> IdentityAuthentication:
            return IdentityAuthentication(bytes(8), bytes(8), bytes(8))

        async def purchase(
            self,
            meter: str,
            session: AuthenticationResult,
            amount_cents: int,
            count: int,
            client_number: str,
        ) -> Purchase:
            assert session.random == b"RND2"
            return Purchase(amount_cents, count, b"MAC1", client_number, b"MAC2")

    async with line_of(PurseMeter()) as (master, line):
        result = await master.pay(METER, Module(), 1234, 1, CLIENT, OPERATOR)
        assert result.outcome is Outcome.DONE
        assert result.after is not None
        assert result.after.remaining_cents == 1234
        unpaid = await master.pay(OTHER, Module(), 1234, 2, CLIENT, OPERATOR)
        assert unpaid.outcome is Outcome.FAILED
        assert sent_purchases(line.heard) == 1


@in_loop
async def test_what_a_prepaid_meter_holds() -> None:
    meter = PurseMeter(
        purchases=2,
        remaining_cents=700,
        items={0x00900200: bcd(700, 4), 0x00900100: bcd(123, 4), 0x04001001: bcd(1000, 4)},
    )
    async with line_of(meter) as (master, _):
        held = await master.prepayment(METER)
        assert (held.remaining_cents, held.remaining_wh) == (700, 1230)
        assert held.overdraft_cents is None
        assert (await master.prepayment_limits(METER)).alarm_1_cents == 1000
        assert (await master.prepayment_status(METER, OPERATOR)).client_number == CLIENT
        records = [record async for record in master.purchases(METER)]
        assert [record.count for record in records] == [2, 1]
        assert [record async for record in master.purchases(METER, PurchaseKind.ENERGY)] == []


# Tokens

DIGITS = "1234 5678 9012 3456 7890"
PLAIN = DIGITS.replace(" ", "")


@dataclass
class KeypadOnWire(LineMeter):
    """The token block, with an answer made up beforehand."""

    result: TokenResult = TokenResult.ACCEPT
    pending_reads: int = 1
    """Reports that still say "processing"."""
    report: dict[str, Value] = field(
        default_factory=lambda: {
            "token_sequence": 0,
            "token_status": "none",
            "token_result": "none",
        }
    )
    seen: list[str] = field(default_factory=list)

    def answer(self, request: Request, *, to_broadcast: bool) -> Answer | None:
        if isinstance(request, WriteData) and request.di == TOKEN_DI:
            return self._take(request)
        if isinstance(request, ReadData) and request.di == REPORT_DI:
            if self.report["token_status"] == "processing":
                self.pending_reads -= 1
                if self.pending_reads < 0:
                    self.report |= {
                        "token_status": "finished",
                        "token_result": self.result.word,
                        "token_credit_added": 12_300,
                        "token_credit_after": 50_000,
                        "token_locked_s": 0,
                    }
            return DataAnswer(request.di, keypad_items()[REPORT_DI].encode(self.report))
        return super().answer(request, to_broadcast=to_broadcast)

    def _take(self, request: WriteData) -> Answer:
        sequence, digits = decode_token(request.data)
        if self.carries_out and sequence != self.report["token_sequence"]:
            self.seen.append(digits)
            self.report = {
                "token_sequence": sequence,
                "token_status": "processing",
                "token_result": "none",
                "token_fingerprint": fingerprint(digits),
            }
        return self.refusal or Accepted()


@in_loop
async def test_a_token_is_taken_and_its_credit_told() -> None:
    meter = KeypadOnWire()
    async with line_of(meter) as (master, line):
        sequence = await master.next_token_sequence(METER)
        load = await master.load_token(METER, DIGITS, sequence, PASSWORD)
        assert load.outcome is Outcome.DONE
        assert (load.result, load.credit_added_wh, load.credit_wh) == ("Accept", 12_300, 50_000)
        again = await master.load_token(METER, DIGITS, sequence, PASSWORD)
        assert again.outcome is Outcome.DONE
        assert not again.was_sent
        other = await master.load_token(METER, "1" * 20, sequence, PASSWORD)
        assert other.outcome is Outcome.FAILED
        assert line.count(WRITE) == 1
        assert meter.seen == [PLAIN]
        assert PLAIN not in f"{load}{again}{other}"
        assert await master.next_token_sequence(METER) == sequence + 1


@pytest.mark.parametrize("carries_out", [True, False])
def test_a_lost_answer_to_a_token_is_settled_by_its_number(carries_out: bool) -> None:
    @in_loop
    async def run() -> None:
        meter = KeypadOnWire(carries_out=carries_out)
        async with line_of(meter, mangle=Losing(WRITE), options=REPEATING) as (master, line):
            load = await master.load_token(METER, DIGITS, 7, PASSWORD)
            assert load.outcome is (Outcome.DONE if carries_out else Outcome.FAILED)
            assert line.count(WRITE) == 1

    run()


@in_loop
async def test_a_token_of_a_meter_that_dies_or_never_ends_is_unknown() -> None:
    async with line_of(KeypadOnWire(), mangle=Losing(WRITE, then_dead=True)) as (master, line):
        load = await master.load_token(METER, DIGITS, 7, PASSWORD, finish_s=0.3)
        assert load.outcome is Outcome.UNKNOWN
        assert line.count(WRITE) == 1
    async with line_of(KeypadOnWire(pending_reads=1000)) as (master, line):
        load = await master.load_token(METER, DIGITS, 7, PASSWORD, finish_s=0.3)
        assert load.outcome is Outcome.UNKNOWN
        assert line.count(WRITE) == 1


@in_loop
async def test_tokens_that_fail() -> None:
    used = KeypadOnWire(result=TokenResult.USED_ERROR, pending_reads=0)
    async with line_of(used) as (master, line):
        load = await master.load_token(METER, DIGITS, 7, PASSWORD)
        assert (load.outcome, load.result) == (Outcome.FAILED, "UsedError")
        with pytest.raises(TokenBlockError):
            await master.load_token(METER, "123", 8, PASSWORD)
        with pytest.raises(TokenBlockError):
            await master.load_token(METER, DIGITS, 0, PASSWORD)
        silent = await master.load_token(OTHER, DIGITS, 8, PASSWORD)
        assert not silent.was_sent
        assert line.count(WRITE) == 1
    refusing = KeypadOnWire(refusal=Refused.of(ErrorByte.OTHER), carries_out=False)
    async with line_of(refusing) as (master, _):
        load = await master.load_token(METER, DIGITS, 7, PASSWORD)
        assert load.outcome is Outcome.FAILED
        assert load.refusal is not None
