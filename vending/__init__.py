"""Prepayment vending: the library that a shop or a payment kiosk uses.

    from vending import NewMeter, Price, Shop, Utility, VendRequest

``vending.sts`` is the token engine, pure and usable alone: what is named here is imported only
when it is used, so that the engine comes without a database.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from vending.meter_faults.reports import FaultReportRequest, MeterFault
    from vending.receipts.escpos import Printer
    from vending.receipts.receipt import Receipt
    from vending.receipts.record import receipt_json
    from vending.receipts.slip import Paper, receipt_pdf
    from vending.receipts.sms import receipt_sms
    from vending.receipts.text import receipt_text
    from vending.receipts.till import receipt_escpos
    from vending.security.groups import RevisionTerms
    from vending.security.port import PublicTestKeys, SecurityModule
    from vending.security.recorded import Vault
    from vending.security.wrapping import MasterSecret
    from vending.shop.advice import RefundRequest, ReversalRequest
    from vending.shop.books import Tender
    from vending.shop.claims import ClaimLine
    from vending.shop.engineering import EngineeringAct, EngineeringRequest
    from vending.shop.giving import FreeBasicRequest, FreeIssueRequest, ReplacementRequest
    from vending.shop.lookup import FoundMeter, Standing
    from vending.shop.meters import Meter, MeterKey, NewMeter
    from vending.shop.money import Currency
    from vending.shop.payment import PaymentRequest
    from vending.shop.price import Price, Quote
    from vending.shop.requests import (
        KeyChangeRequest,
        Outcome,
        TrialVend,
        VendRequest,
        VendResult,
        VerifiedToken,
    )
    from vending.shop.resources import Resource
    from vending.shop.rules import CounterRules
    from vending.shop.settings import Utility
    from vending.shop.shop import Shop
    from vending.shop.statement import Statement
    from vending.vouchers.pins import Pin
    from vending.vouchers.redeem import RedeemRequest

__all__ = [
    "ClaimLine",
    "CounterRules",
    "Currency",
    "EngineeringAct",
    "EngineeringRequest",
    "FaultReportRequest",
    "FoundMeter",
    "FreeBasicRequest",
    "FreeIssueRequest",
    "KeyChangeRequest",
    "MasterSecret",
    "Meter",
    "MeterFault",
    "MeterKey",
    "NewMeter",
    "Outcome",
    "Paper",
    "PaymentRequest",
    "Pin",
    "Price",
    "Printer",
    "PublicTestKeys",
    "Quote",
    "Receipt",
    "RedeemRequest",
    "RefundRequest",
    "ReplacementRequest",
    "Resource",
    "ReversalRequest",
    "RevisionTerms",
    "SecurityModule",
    "Shop",
    "Standing",
    "Statement",
    "Tender",
    "TrialVend",
    "Utility",
    "Vault",
    "VendRequest",
    "VendResult",
    "VerifiedToken",
    "receipt_escpos",
    "receipt_json",
    "receipt_pdf",
    "receipt_sms",
    "receipt_text",
]

_HOME: Final = {
    name: f"vending.{module}"
    for module, names in {
        "meter_faults.reports": ("FaultReportRequest", "MeterFault"),
        "shop.advice": ("RefundRequest", "ReversalRequest"),
        "shop.claims": ("ClaimLine",),
        "shop.engineering": ("EngineeringAct", "EngineeringRequest"),
        "shop.giving": ("FreeBasicRequest", "FreeIssueRequest", "ReplacementRequest"),
        "shop.lookup": ("FoundMeter", "Standing"),
        "shop.payment": ("PaymentRequest",),
        "shop.resources": ("Resource",),
        "shop.rules": ("CounterRules",),
        "shop.books": ("Tender",),
        "shop.meters": ("Meter", "MeterKey", "NewMeter"),
        "shop.money": ("Currency",),
        "shop.price": ("Price", "Quote"),
        "receipts.escpos": ("Printer",),
        "receipts.receipt": ("Receipt",),
        "receipts.record": ("receipt_json",),
        "receipts.slip": ("Paper", "receipt_pdf"),
        "receipts.sms": ("receipt_sms",),
        "receipts.text": ("receipt_text",),
        "receipts.till": ("receipt_escpos",),
        "shop.requests": (
            "KeyChangeRequest",
            "Outcome",
            "TrialVend",
            "VendRequest",
            "VendResult",
            "VerifiedToken",
        ),
        "security.groups": ("RevisionTerms",),
        "security.port": ("PublicTestKeys", "SecurityModule"),
        "security.recorded": ("Vault",),
        "security.wrapping": ("MasterSecret",),
        "shop.settings": ("Utility",),
        "shop.shop": ("Shop",),
        "vouchers.pins": ("Pin",),
        "vouchers.redeem": ("RedeemRequest",),
        "shop.statement": ("Statement",),
    }.items()
    for name in names
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
