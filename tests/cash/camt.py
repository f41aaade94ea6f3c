"""CAMT.053 statements, written by us: the versions as they differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

VERSIONS = ("001.02", "001.04", "001.06", "001.08", "001.10")
ACCOUNT = "ZA12BANK0000000042"


@dataclass(frozen=True)
class Payment:
    amount: str
    text: str = ""
    name: str = "J Doe"
    iban: str = "ZA99PAYER1"


@dataclass(frozen=True)
class Booking:
    payments: Sequence[Payment]
    reference: str = ""
    sign: str = "CRDT"
    status: str = "BOOK"
    day: str = "2026-11-20"
    amount: str = ""
    currency: str = "ZAR"


def statement(
    bookings: Sequence[Booking], version: str = "001.08", account: str = ACCOUNT
) -> bytes:
    """A statement of one account."""
    new = version >= "001.08"
    entries = "".join(_entry(booking, new) for booking in bookings)
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.{version}">
 <BkToCstmrStmt><GrpHdr><MsgId>M1</MsgId></GrpHdr>
  <Stmt><Id>S1</Id><Acct><Id><IBAN>{account}</IBAN></Id><Ccy>ZAR</Ccy></Acct>
{entries}
  </Stmt></BkToCstmrStmt>
</Document>""".encode()


def _entry(booking: Booking, new: bool) -> str:
    status = f"<Cd>{booking.status}</Cd>" if new else booking.status
    total = booking.amount or str(sum(round(float(each.amount) * 100) for each in booking.payments))
    amount = booking.amount or f"{total[:-2] or 0}.{total[-2:]:>02}"
    details = "".join(
        _details(each, booking, new, len(booking.payments)) for each in booking.payments
    )
    reference = f"<AcctSvcrRef>{booking.reference}</AcctSvcrRef>" if booking.reference else ""
    return f"""<Ntry><Amt Ccy="{booking.currency}">{amount}</Amt>
<CdtDbtInd>{booking.sign}</CdtDbtInd><Sts>{status}</Sts>
<BookgDt><Dt>{booking.day}</Dt></BookgDt>{reference}
<NtryDtls>{details}</NtryDtls></Ntry>"""


def _details(payment: Payment, booking: Booking, new: bool, number: int) -> str:
    party = f"<Pty><Nm>{payment.name}</Nm></Pty>" if new else f"<Nm>{payment.name}</Nm>"
    amount = f'<Amt Ccy="{booking.currency}">{payment.amount}</Amt>'
    if not new:
        amount = f"<AmtDtls><TxAmt>{amount}</TxAmt></AmtDtls>"
    amount = amount if number > 1 else ""
    who = "Dbtr" if booking.sign == "CRDT" else "Cdtr"
    return f"""<TxDtls><Refs><EndToEndId>NOTPROVIDED</EndToEndId></Refs>{amount}
<RltdPties><{who}>{party}</{who}><{who}Acct><Id><IBAN>{payment.iban}</IBAN></Id></{who}Acct>
</RltdPties><RmtInf><Ustrd>{payment.text}</Ustrd></RmtInf></TxDtls>"""
