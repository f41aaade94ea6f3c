"""Documents that are read, and documents that are refused with a reason."""

from __future__ import annotations

import pytest
from hypothesis import given

from tests.price.strategies import ZAR, tariffs
from vending import Currency
from vending.price.document import read_json, read_toml, to_json
from vending.price.faults import TariffFormatError
from vending.price.situation import Scheme, SchemeKind, charges_due
from vending.price.tariff import Tariff
from vending.shop.faults import InvalidSettingError

PLAIN = 'name = "Plain"\n[[blocks]]\nprice = "2.50"\n'


@given(tariffs())
def test_what_is_written_reads_back_as_the_same(tariff: Tariff) -> None:
    assert read_json(to_json(tariff, ZAR), ZAR) == tariff


def test_decimals_are_taken_by_their_digits() -> None:
    quoted, bare = PLAIN, PLAIN.replace('"2.50"', "2.50")
    assert read_toml(quoted, ZAR) == read_toml(bare, ZAR)
    assert read_toml(quoted, ZAR).blocks[0].price == 250_000
    assert read_toml(bare, Currency.named("UGX")).blocks[0].price == 2_500


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ("name = ", "not TOML"),
        ("", "needs a text 'name'"),
        ('name = "A"', "last block"),
        ('name = ""\n' + PLAIN.partition("\n")[2], "must not be empty"),
        (PLAIN.replace("price", "prise"), "needs 'price'"),
        (PLAIN + 'colour = "red"', "not known: 'colour'"),
        (PLAIN.replace('"2.50"', '"2,50"'), "digits"),
        (PLAIN.replace('"2.50"', '"-1"'), "digits"),
        (PLAIN.replace('"2.50"', "true"), "decimal"),
        (PLAIN.replace('"2.50"', '"2.123456"'), "5 digits after the point"),
        (PLAIN.replace('"2.50"', '"0"'), "must lie between"),
        (PLAIN.replace("price", 'up_to = "50"\nprice'), "no upper bound"),
        ('order = ["energy", "fee"]\n' + PLAIN, "energy comes last"),
        ('order = ["energy"]\n' + PLAIN + '[[taxes]]\ncode = "vat"\npercent = 15', "no step"),
        ('order = ["luck", "energy"]\n' + PLAIN, "may say fee, charges"),
        (PLAIN + '[[taxes]]\ncode = "VAT"\npercent = 15', "small letters"),
        (PLAIN + '[[taxes]]\ncode = "vat"\npercent = 101', "must lie between"),
        (PLAIN + '[[taxes]]\ncode = "vat"\npercent = 5\non_taxes = ["levy"]', "before it only"),
        (PLAIN + '[[taxes]]\ncode = "vat"\npercent = 5\non = []', "energy, charges or fee"),
        (PLAIN + '[[charges]]\ncode = "a"\nname = "A"\nfrom_month = "2026-01"', "per_month"),
        (
            PLAIN + '[[charges]]\ncode = "a"\nname = "A"\nper_month = 1\nfrom_month = "2026-13"',
            "month like 2026-01",
        ),
        (PLAIN + '[change]\nsmallest_coin = "0"', "smallest coin"),
        ('minimum = "2"\nmaximum = "1"\n' + PLAIN, "must not be above"),
        (PLAIN + '[[fees]]\nchannel = "card"\n[[fees]]\nchannel = "card"', "same name"),
        ("blocks = 3\n", "needs a text"),
        ('name = "A"\nblocks = 3\n', "is a list"),
        ('name = "A"\nblocks = [3]\n', "table"),
    ],
)
def test_a_document_that_makes_no_sense_is_refused(document: str, why: str) -> None:
    with pytest.raises(TariffFormatError, match=why):
        read_toml(document, ZAR)


def test_json_that_is_none_is_refused() -> None:
    for text in ("", "[]", "{", "[" * 5_000, '{"name": 1}'):
        with pytest.raises(TariffFormatError):
            read_json(text, ZAR)


def test_a_resource_that_is_not_known_is_refused() -> None:
    with pytest.raises(InvalidSettingError, match="no resource"):
        read_toml('resource = "steam"\n' + PLAIN, ZAR)


@pytest.mark.parametrize(
    ("kind", "rate", "fixed"),
    [
        (SchemeKind.PERCENT, None, None),
        (SchemeKind.PERCENT, 100, 5),
        (SchemeKind.FIXED, 100, 5),
        (SchemeKind.LESSER, 100, None),
        (SchemeKind.ALL, 100, None),
        (SchemeKind.PERCENT, 10_001, None),
        (SchemeKind.FIXED, None, 0),
    ],
)
def test_a_scheme_has_the_numbers_that_it_needs(
    kind: SchemeKind, rate: int | None, fixed: int | None
) -> None:
    with pytest.raises(TariffFormatError):
        Scheme(kind, rate, fixed)


def test_a_tariff_is_read_from_text_only() -> None:
    for read in (read_toml, read_json):
        with pytest.raises(TariffFormatError, match="text"):
            read(PLAIN.encode(), ZAR)  # type: ignore[arg-type]


CHARGED = """
[[charges]]
code = "rent"
name = "Rent"
per_{0} = "1.00"
from_month = "2025-11"
months_max = 3
"""


def _due(per: str, month: str, since: str, *paid: str) -> list[tuple[str, int]]:
    tariff = read_toml(PLAIN + CHARGED.format(per), ZAR)
    due = charges_due(tariff, month, since, {("rent", each) for each in paid})
    return [(each.month, each.amount_minor) for each in due]


def test_unpaid_months_are_due_as_far_back_as_the_tariff_says() -> None:
    assert _due("month", "2026-02", "2020-01-01") == [
        ("2025-12", 100),
        ("2026-01", 100),
        ("2026-02", 100),
    ]
    assert _due("month", "2025-12", "2020-01-01") == [("2025-11", 100), ("2025-12", 100)]
    assert _due("month", "2026-02", "2026-02-28") == [("2026-02", 100)]
    assert _due("month", "2026-02", "2020-01-01", "2025-12", "2026-02") == [("2026-01", 100)]
    assert _due("month", "2025-10", "2020-01-01") == []


def test_a_charge_by_the_day_counts_the_days_of_the_month() -> None:
    assert _due("day", "2026-02", "2026-01-31") == [("2026-01", 100), ("2026-02", 2_800)]
