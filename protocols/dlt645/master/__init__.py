"""The master: an asyncio client of DL/T 645 meters over one link.

=====================  ====================================================================
`master`               `Master`, all calls with their arguments; begin here
`exchange`             a request and its answer, as a link carries them
`conversation`         asking; long answers in parts; orders sent once
`readings`             what is read: items with their values
`history`              freezes, events, load profile
`prepayment`           sums, limits, purchases
`orders`               what all orders share: full addresses, done / failed / unknown
`relay_orders`         trip, close, alarm, protection
`recharge`             money, by the purchase count; `token_loading`: STS tokens
`writing`              parameters, read back
`clock`                times; `service`: clears, freeze, address, speed, passwords
`errors`               `MeterRefusal` and the other faults that only a master meets
=====================  ====================================================================

An order is sent once.  After a lost answer the meter's state is read before anything else, and
the result says done, failed or unknown.
"""

from protocols.dlt645.master.clock import ClockLimits, ClockResult
from protocols.dlt645.master.errors import ClockLimitError, MeterRefusal, ValueShapeError
from protocols.dlt645.master.exchange import RequestExchange
from protocols.dlt645.master.history import EventKind, FreezeKind, FreezePart, FreezeRecord
from protocols.dlt645.master.master import Master
from protocols.dlt645.master.orders import OrderResult
from protocols.dlt645.master.prepayment import (
    Prepayment,
    PrepaymentLimits,
    PurchaseKind,
    PurchaseRecord,
    PurchaseState,
)
from protocols.dlt645.master.readings import ItemAnswer, ManyAnswers
from protocols.dlt645.master.recharge import PurchaseModule, RechargeResult
from protocols.dlt645.master.relay_orders import RelayCipher, RelayResult
from protocols.dlt645.master.token_loading import TokenLoad
from protocols.dlt645.master.writing import WriteResult
from protocols.outcomes import Outcome

__all__ = [
    "ClockLimitError",
    "ClockLimits",
    "ClockResult",
    "EventKind",
    "FreezeKind",
    "FreezePart",
    "FreezeRecord",
    "ItemAnswer",
    "ManyAnswers",
    "Master",
    "MeterRefusal",
    "OrderResult",
    "Outcome",
    "Prepayment",
    "PrepaymentLimits",
    "PurchaseKind",
    "PurchaseModule",
    "PurchaseRecord",
    "PurchaseState",
    "RechargeResult",
    "RelayCipher",
    "RelayResult",
    "RequestExchange",
    "TokenLoad",
    "ValueShapeError",
    "WriteResult",
]
