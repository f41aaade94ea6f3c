"""Money-type local prepayment by wire: the security commands 03H (spec section 3).

============  ====================  ==========================================================
070000FF      authentication        opens the commands that need it
070001FF      its validity          minutes
070002FF      end of it             answers what is left, the count, the client
070101FF      open account          the first payment, count 0 or 1
070102FF      recharge              count = the meter's plus one
070103FF      wallet initialisation an amount and a count to start from
078102FF      status query          what is left, the count, the client
============  ====================  ==========================================================

What the meter refuses, in this order: no money meter (other error), a wrong MAC (ESAM check),
no authentication where it is needed, a repeated payment, another client, a wrong count, more than
may be hoarded.  A payment counts in minor units and is rounded nowhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final

from protocols.dlt645 import SecurityError, security
from protocols.dlt645.errors import LayoutError
from simulators.metering.account import NO_CLIENT, Account, PurchaseRecord
from simulators.metering.parameters import ALARM_1, CLOSE_FROM, HOARDING, OVERDRAFT
from simulators.metering.smart_meter import SmartMeter
from simulators.purse import Purse

_KEY_INFO: Final = bytes(4)
_COUNT_TO_OPEN_MAX: Final = 1


def execute(meter: SmartMeter, di: int, data: bytes, now: datetime) -> bytes | SecurityError:
    """Carry a security command out.

    Args:
        meter: the meter.
        di: the identifier.
        data: what stands behind the operator code.
        now: true time.

    Returns:
        The answer's data behind the identifier, or why it is refused.
    """
    meter.advance(now)
    command = _COMMANDS.get(di)
    if command is None or not meter.counts_money:
        return SecurityError.OTHER
    try:
        return command(meter, data)
    except LayoutError:
        return SecurityError.OTHER


def amount_limit(meter: SmartMeter, di: int) -> int:
    """One of the amounts 04001001-05, in minor units."""
    type_ = meter.type
    factory = {
        ALARM_1: type_.alarm_1_minor,
        OVERDRAFT: type_.overdraft_minor,
        HOARDING: type_.hoarding_minor,
        CLOSE_FROM: type_.close_from_minor,
    }
    return meter.parameters.number(di, factory.get(di, type_.alarm_2_minor))


def balance(meter: SmartMeter) -> int:
    """What is left in minor units, rounded down; negative: overdrawn."""
    purse = meter.flow.supply.purse
    return 0 if purse is None else purse.balance_minor


def with_limits_of(meter: SmartMeter, purse: Purse) -> Purse:
    """A purse under the meter's amounts."""
    return purse.with_limits(
        overdraft=amount_limit(meter, OVERDRAFT),
        close_from=amount_limit(meter, CLOSE_FROM),
        warn_below=amount_limit(meter, ALARM_1),
    )


# --- authentication ---------------------------------------------------------------------------


def _authenticate(meter: SmartMeter, data: bytes) -> bytes | SecurityError:
    asked = security.IdentityAuthentication.parse(data)
    answer = meter.type.esam.authenticate(asked.cipher, asked.random, asked.diversification)
    if answer is None:
        return SecurityError.IDENTITY_AUTHENTICATION_FAILED
    lasts_s = meter.account.authentication_s or meter.type.authentication_min * 60
    meter.account = replace(meter.account, authenticated_until=meter.second + lasts_s)
    return security.AuthenticationResult(*answer).encode()


def _set_validity(meter: SmartMeter, data: bytes) -> bytes | SecurityError:
    asked = security.AuthenticationValidity.parse(data)
    if not _is_authentic(meter, data, asked.mac):
        return SecurityError.ESAM_CHECK_FAILED
    meter.account = replace(meter.account, authentication_s=asked.minutes * 60)
    return b""


def _end_authentication(meter: SmartMeter, data: bytes) -> bytes | SecurityError:
    security.require_layout(data, 0)
    account = replace(meter.account, authenticated_until=0)
    meter.account = account
    return security.EndOfAuthentication(
        account.client_number, max(0, balance(meter)), account.count, _KEY_INFO
    ).encode()


def _is_authentic(meter: SmartMeter, data: bytes, mac: bytes) -> bool:
    return meter.type.esam.mac(data) == mac


def _needs_authentication(meter: SmartMeter) -> bool:
    return meter.type.needs_authentication and meter.second >= meter.account.authenticated_until


# --- payments ---------------------------------------------------------------------------------


def _open_account(meter: SmartMeter, data: bytes) -> bytes | SecurityError:
    purchase = security.Purchase.parse(data)
    account = meter.account
    refusal = _objection(meter, purchase, data)
    if refusal is not None:
        return refusal
    if account.is_open and account.client_number == purchase.client_number:
        return SecurityError.REPEATED_RECHARGE
    if account.is_open:
        return SecurityError.CLIENT_NUMBER_MISMATCH
    if purchase.count > _COUNT_TO_OPEN_MAX:
        return SecurityError.RECHARGE_COUNT_WRONG
    return _pay(meter, purchase)


def _recharge(meter: SmartMeter, data: bytes) -> bytes | SecurityError:
    purchase = security.Purchase.parse(data)
    account = meter.account
    refusal = _objection(meter, purchase, data)
    if refusal is not None:
        return refusal
    if not account.is_open or account.client_number != purchase.client_number:
        return SecurityError.CLIENT_NUMBER_MISMATCH
    if purchase.count == account.count:
        return SecurityError.REPEATED_RECHARGE
    if purchase.count != account.count + 1:
        return SecurityError.RECHARGE_COUNT_WRONG
    return _pay(meter, purchase)


def _objection(meter: SmartMeter, purchase: security.Purchase, data: bytes) -> SecurityError | None:
    if not all(_is_authentic(meter, data, mac) for mac in (purchase.mac1, purchase.mac2)):
        return SecurityError.ESAM_CHECK_FAILED
    if _needs_authentication(meter):
        return SecurityError.IDENTITY_AUTHENTICATION_FAILED
    return None


def _pay(meter: SmartMeter, purchase: security.Purchase) -> bytes | SecurityError:
    purse = meter.flow.supply.purse or Purse()
    before, hoarding = purse.balance_minor, amount_limit(meter, HOARDING)
    if hoarding and before + purchase.amount_cents > hoarding:
        return SecurityError.AMOUNT_OVER_HOARDING_LIMIT
    purse = purse.with_amount(purchase.amount_cents)
    record = PurchaseRecord(
        local=meter.local,
        number=purchase.count,
        amount=purchase.amount_cents,
        before=before,
        after=purse.balance_minor,
        total=meter.account.total_minor + purchase.amount_cents,
    )
    meter.set_purse(purse, meter.now, topped_up=True)
    meter.account = meter.account.paid(record, purchase.client_number)
    return b""


def _initialise(meter: SmartMeter, data: bytes) -> bytes | SecurityError:
    """070103FF: only before an account is opened (the public-key state)."""
    asked = security.WalletInitialisation.parse(data)
    if not all(_is_authentic(meter, data, mac) for mac in (asked.mac1, asked.mac2)):
        return SecurityError.ESAM_CHECK_FAILED
    if _needs_authentication(meter):
        return SecurityError.IDENTITY_AUTHENTICATION_FAILED
    if meter.account.is_open:
        return SecurityError.OTHER
    hoarding = amount_limit(meter, HOARDING)
    if hoarding and asked.amount_cents > hoarding:
        return SecurityError.AMOUNT_OVER_HOARDING_LIMIT
    purse = with_limits_of(meter, Purse()).with_amount(asked.amount_cents)
    meter.set_purse(purse, meter.now)
    meter.account = Account(client_number=NO_CLIENT, count=asked.count)
    return b""


def _status(meter: SmartMeter, data: bytes) -> bytes | SecurityError:
    security.require_layout(data, 0)
    account, left = meter.account, max(0, balance(meter))
    esam = meter.type.esam
    return security.PrepaymentStatus(
        remaining_cents=left,
        remaining_mac=esam.mac(left.to_bytes(4, "little")),
        purchase_count=account.count,
        count_mac=esam.mac(account.count.to_bytes(4, "little")),
        client_number=account.client_number,
        key_info=_KEY_INFO,
    ).encode()


_COMMANDS: Final[dict[int, Callable[[SmartMeter, bytes], bytes | SecurityError]]] = {
    security.IDENTITY_AUTHENTICATION: _authenticate,
    security.AUTHENTICATION_VALIDITY: _set_validity,
    security.END_AUTHENTICATION: _end_authentication,
    security.OPEN_ACCOUNT: _open_account,
    security.RECHARGE: _recharge,
    security.WALLET_INITIALISATION: _initialise,
    security.STATUS_QUERY: _status,
}
