"""Bills of real settlements: a month of days, and what a corrected reading does (18, 13)."""

from __future__ import annotations

from datetime import date, timedelta
from io import BytesIO

from pypdf import PdfReader

from billing.bills.kinds import BillKind, Group
from billing.bills.looking import document
from billing.bills.pdf import bill_pdf
from billing.ledger.posting import balance
from billing.office import Office
from billing.settlement.correcting import follow_corrections
from billing.settlement.run import settle_day
from billing.settlement.spans import midnight
from headend.store.corrections import correct_reading
from headend.values import Reading, Source
from tests.billing.bills.made import bill_now
from tests.billing.settlement.made import BLOCKS, home, judged, rate

FIRST = date(2026, 11, 1)
DAYS = 19


def test_req18_a_bill_of_settled_days_and_the_one_after_a_correction(office: Office) -> None:
    rate(office, BLOCKS, FIRST)
    one = home(office, since=FIRST, tariff="steps")
    for number in range(DAYS + 1):
        one.read(FIRST + timedelta(days=number), number * 12_500)
    judged(office, FIRST + timedelta(days=DAYS))
    settle_day(office, FIRST + timedelta(days=DAYS - 1))
    made = bill_now(office, one.account_id)
    with office.reading() as connection:
        assert made.total_minor == balance(connection, one.account_id)
        shown = document(connection, made.bill_id)
        text = PdfReader(BytesIO(bill_pdf(connection, office, made.bill_id))).pages[0]
    # 237.5 kWh: 100 at 0.50, 100 at 0.80, 37.5 at 1.20
    assert [(each.code, str(each.quantity), each.amount_minor) for each in shown.lines] == [
        ("block1", "100.000", -50_00),
        ("block2", "100.000", -80_00),
        ("block3", "37.500", -45_00),
    ]
    [point] = shown.supplies
    [register] = point.registers
    assert (register.first_wh, register.last_wh) == (0, 237_500)
    assert point.energy_wh == shown.use_wh["2026-11"] == 237_500
    assert "237.500" in text.extract_text()
    assert office.station is not None
    at = midnight(FIRST + timedelta(days=DAYS), office.zone)
    reading = Reading(one.device_id, "energy_import_total", at, 0, Source.FREEZE)
    correct_reading(office.station, reading, value=230_000, reason="misread")
    assert follow_corrections(office) == 1
    after = bill_now(office, one.account_id, BillKind.FINAL)
    with office.reading() as connection:
        shown = document(connection, after.bill_id)
        assert after.total_minor == balance(connection, one.account_id)
    assert [(each.group, each.code, each.amount_minor) for each in shown.lines] == [
        (Group.ADJUSTMENTS, "taken_back", 15_00),
        (Group.ADJUSTMENTS, "settled_anew", -6_00),
    ]
    assert shown.use_wh["2026-11"] == 230_000
