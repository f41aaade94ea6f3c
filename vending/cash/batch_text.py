"""The reports of closed batches on paper: 48 columns, from the stored data alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from vending.receipts.columns import Roll
from vending.shop.money import Currency

_TITLES: Final = {"shift": "SHIFT REPORT", "sales": "SALES BATCH", "bank": "BANK BATCH"}


def batch_text(report: Mapping[str, Any], copy_no: int = 0) -> str:
    """A closed report as lines of at most 48 columns; copies say which copy they are."""
    roll = Roll()
    money = Currency(report["currency"], report["minor_digits"])
    _head(roll, report, copy_no)
    _BODIES[report["document"]](roll, report, money)
    return roll.text()


def _head(roll: Roll, report: Mapping[str, Any], copy_no: int) -> None:
    roll.centred(report["utility"])
    if report["address"]:
        roll.centred(report["address"])
    if report["tax_number"]:
        roll.centred(f"Tax no. {report['tax_number']}")
    roll.rule()
    roll.pair(_TITLES[report["document"]], f"COPY {copy_no}" if copy_no else "")
    roll.pair("Number", str(report["batch_id"]))
    for label, text in (
        ("Vendor", report["vendor"]),
        ("Site", report["site"]),
        ("Terminal", report.get("terminal", "")),
        ("Operator", report["operator"]),
        ("Opened", _local(report, "opened_at")),
        ("Counted", _local(report, "counted_at")),
        ("Closed", _local(report, "closed_at")),
        ("Closed by", report["closed_by"]),
    ):
        if text:
            roll.pair(label, text)
    roll.rule()


def _shift(roll: Roll, report: Mapping[str, Any], money: Currency) -> None:
    receipts = report["receipts"]
    roll.pair("Receipts", str(receipts["number"]))
    if receipts["number"]:
        roll.pair("First to last", f"{receipts['first']} - {receipts['last']}")
    for each in receipts["by_kind"]:
        words = " ".join(
            part for part in (each["kind"].replace("_", " "), each["tender"] or "") if part
        )
        roll.pair(f"  {each['receipts']} x {words}", money.text(each["tendered_minor"]))
    roll.rule()
    for each in report["tenders"]:
        _tender(roll, each, money)
    for count in report["counts"]:
        if count["pieces"]:
            roll.rule()
            roll.pair("Notes and coins", f"count {count['count_no']}")
        for piece in count["pieces"]:
            face, number = piece["face_minor"], piece["pieces"]
            roll.pair(f"  {number} x {money.text(face)}", money.text(number * face))
    _signatures(roll)


def _tender(roll: Roll, each: Mapping[str, Any], money: Currency) -> None:
    roll.pair(each["tender"].upper(), money.code)
    if each["float_minor"]:
        roll.pair("  Float", money.text(each["float_minor"]))
    roll.pair("  Taken", money.text(each["taken_minor"]))
    roll.pair("  Counted", money.text(each["counted_minor"]))
    roll.pair("  Expected", money.text(each["expected_minor"]))
    roll.pair("  Difference", money.text(each["difference_minor"]))
    if each["reason"]:
        roll.wrapped(f"Reason: {each['reason']}")


def _sales(roll: Roll, report: Mapping[str, Any], money: Currency) -> None:
    for shift in report["members"]:
        roll.pair(f"Shift {shift['batch_id']} {shift['operator']}", f"{shift['receipts']} receipts")
        _sums(roll, shift, money)
    _totals(roll, report, money)
    _signatures(roll)


def _bank(roll: Roll, report: Mapping[str, Any], money: Currency) -> None:
    for batch in report["members"]:
        roll.pair(f"Sales batch {batch['batch_id']}", f"{batch['receipts']} receipts")
        _sums(roll, batch, money)
    _totals(roll, report, money)
    roll.rule()
    for slip in report["slips"]:
        roll.pair(f"Slip {slip['number']}", money.text(slip["amount_minor"]))
        roll.pair(f"  {slip['tender']}", slip["bank_account"])
    for each in report["deposits"]:
        roll.pair(f"{each['tender'].upper()} to deposit", money.text(each["there_minor"]))
        roll.pair("  Deposited", money.text(each["deposited_minor"]))
        roll.pair("  Left", money.text(each["left_minor"]))
        if each["reason"]:
            roll.wrapped(f"Reason: {each['reason']}")
    _signatures(roll)


def _totals(roll: Roll, report: Mapping[str, Any], money: Currency) -> None:
    roll.rule()
    roll.pair("TOTAL", f"{report['receipts']} receipts")
    _sums(roll, report, money)


def _sums(roll: Roll, part: Mapping[str, Any], money: Currency) -> None:
    for tender, amount in part["taken"].items():
        roll.pair(f"  {tender}", money.text(amount))
    for tender, amount in part["differences"].items():
        roll.pair(f"  {tender}, over or short", money.text(amount))


def _signatures(roll: Roll) -> None:
    roll.rule()
    for who in ("Operator", "Supervisor"):
        roll.blank()
        roll.pair(who, "." * 30)


def _local(report: Mapping[str, Any], name: str) -> str:
    written = report.get(name)
    if not written:
        return ""
    moment = datetime.fromisoformat(written).astimezone(ZoneInfo(report["zone"]))
    return f"{moment:%Y-%m-%d %H:%M:%S %Z}"


_BODIES: Final = {"shift": _shift, "sales": _sales, "bank": _bank}
