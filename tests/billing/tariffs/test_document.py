"""Documents of tariffs: what they may say, and how faults are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.tariffs.document import from_data, from_json, read_document, read_toml
from billing.tariffs.faults import RateDocumentError
from billing.tariffs.spelling import to_data, to_json
from billing.tariffs.tariff import Tariff
from billing.tariffs.version import TariffVersion
from tests.billing.tariffs.strategies import CNY, midnight, tariffs
from vending import Currency

EXAMPLES = sorted((Path(__file__).parents[3] / "docs" / "examples").glob("rate-*.toml"))


def _faults(document: str) -> list[str]:
    with pytest.raises(RateDocumentError) as refused:
        read_toml(document, CNY)
    assert refused.value.code == "rate_document"
    return list(refused.value.faults)


@settings(max_examples=40, deadline=None)
@given(tariffs())
def test_req12_a_tariff_is_read_back_as_it_was_stored(tariff: Tariff) -> None:
    assert from_json(to_json(tariff)) == tariff
    assert to_json(from_json(to_json(tariff))) == to_json(tariff)


def test_a_currency_with_other_digits_is_kept_with_the_tariff() -> None:
    tariff = read_toml('code="a"\nname="A"\n[energy]\nrate="1"', Currency("CNY", 3))
    assert from_json(to_json(tariff)).currency.minor_digits == 3


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_examples_of_the_documentation_are_tariffs(file: Path) -> None:
    tariff = read_toml(file.read_text("utf-8"), CNY)
    as_json = json.dumps(to_data(tariff))
    assert read_document(as_json, CNY) == tariff


def test_all_faults_are_told_at_once_with_their_places() -> None:
    faults = _faults(
        """
        code = "Home!"
        nmae = "Home"
        rounding = "nearest"
        [energy]
        rate = 0.123456789
        [blocks]
        [[blocks.steps]]
        up_to = 50
        rate = "x"
        [[blocks.steps]]
        up_to = 40
        rate = "1"
        adds = "1"
        [[fees]]
        code = "vat"
        name = "fee"
        [[taxes]]
        code = "vat"
        name = "VAT"
        percent = "130"
        on = ["enregy"]
        """
    )
    places = [fault.partition(":")[0] for fault in faults]
    assert set(places) == {
        "code",
        "name",
        "nmae",
        "rounding",
        "energy.rate",
        "blocks.steps[1].rate",
        "blocks.steps[2]",
        "blocks.steps[2].up_to",
        "blocks.steps",
        "fees[1]",
        "taxes[1].code",
        "taxes[1].percent",
        "taxes[1].on",
    }
    assert all(fault.endswith(".") for fault in faults)


@pytest.mark.parametrize(
    ("words", "place"),
    [
        ("", "energy"),
        ("[energy]", "energy"),
        ('[energy]\nrate = "-1"', "energy.rate"),
        ('[energy]\nrate = "1"\nrates = {t1 = "1"}', "energy"),
        ('[energy]\nrates = {t9 = "1"}', "energy.rates.t9"),
        ('[energy]\nrates = {t1 = "1"}\nnames = {t2 = "valley"}', "energy.names.t2"),
        ('[energy]\nrate = "1"\n[blocks]\nsteps = []', "blocks.steps"),
        ('[energy]\nrate = "1"\n[[blocks.steps]]\nrate = "1"', "energy"),
        ('[[blocks.steps]]\nadds = "1"', "energy"),
        ('[blocks]\nperiod = "week"\n[[blocks.steps]]\nrate = "1"', "blocks.period"),
        ('[blocks]\nprorate = "months"\n[[blocks.steps]]\nrate = "1"', "blocks.prorate"),
        (
            '[blocks]\nnames = {t2 = "x"}\n[[blocks.steps]]\nrates = {t1 = "1"}',
            "blocks.names.t2",
        ),
        ('[energy]\nrate = "1"\n[free]\nrate = "1"', "free.kwh"),
        ('[energy]\nrate = "1"\n[capacity]\nunit = "MVA"\nper_month = "1"', "capacity.unit"),
        ('[energy]\nrate = "1"\n[demand]\nper_month="1"\nexcess_per_month="2"', "demand"),
        ('[energy]\nrate = "1"\n[power_factor]\nstandard = "0.95"', "power_factor.standard"),
        ('[energy]\nrate = "1"\n[power_factor]\nstandard="0.9"\non=["tax"]', "power_factor.on"),
        ('[energy]\nrate = "1"\n[[surcharges]]\ncode="a"\nname="A"', "surcharges[1]"),
        ('[energy]\nrate="1"\n[[surcharges]]\ncode="a"\nname="A"\npercent="1"', "surcharges[1].on"),
        ('[energy]\nrate="1"\n[[taxes]]\ncode="a"\nname="A"\npercent="1"\non=["b"]', "taxes[1].on"),
        ('[energy]\nrate = "1"\n[[fees]]\ncode="energy"\nname="A"\nper_day="1"', "fees[1].code"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(words: str, place: str) -> None:
    faults = _faults(f'code = "a"\nname = "A"\n{words}\n')
    assert [fault.partition(":")[0] for fault in faults] == [place]


def test_another_currency_than_the_utility_s_is_refused() -> None:
    assert _faults('code="a"\nname="A"\ncurrency="ZAR"\n[energy]\nrate="1"')[0].startswith(
        "currency"
    )


_WORDS = (
    "code name currency rounding energy rate rates names t1 t2 blocks period prorate on_change "
    "steps up_to adds free kwh classes capacity unit per_month demand at_least_percent "
    "excess_over_percent excess_per_month power_factor standard on fees per_day surcharges "
    "percent taxes contained"
).split()
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["1", "0.5", "a", "month", "year", "0.90", "energy", "CNY"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_WORDS), inner, max_size=5)
    ),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(_WORDS), _VALUES, max_size=8))
def test_whatever_a_document_says_it_is_read_or_its_faults_are_told(plain: Any) -> None:
    try:
        tariff = from_data(plain, CNY)
    except RateDocumentError as refused:
        told = refused.faults
    else:
        told = ("none",)
        assert from_json(to_json(tariff)) == tariff
        TariffVersion(1, midnight(2026, 1, 1), tariff)
    assert told


@pytest.mark.parametrize("document", ["code = ", '{"code": ', "[]", "{}", "x" * 100_001])
def test_what_is_no_document_is_refused(document: str) -> None:
    with pytest.raises(RateDocumentError):
        read_document(document, CNY)
    with pytest.raises(RateDocumentError):
        read_document("{" + document, CNY)
