from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.dlt645 import Edition, Security, parse_request
from protocols.dlt645.errors import FieldRangeError, LayoutError
from protocols.dlt645.security import (
    AuthenticationResult,
    AuthenticationValidity,
    EndOfAuthentication,
    EsamFile,
    EsamFileRead,
    IdentityAuthentication,
    PrepaymentStatus,
    Purchase,
    VendorOrder,
    WalletInitialisation,
    open_account,
    recharge,
    status_query,
)
from tests.protocols.dlt645.vectors import frame_named

WORDS = st.integers(0, 0xFFFF_FFFF)
MACS = st.binary(min_size=4, max_size=4)
CLIENTS = st.integers(0, 10**12 - 1).map(lambda number: f"{number:012d}")
EIGHT = st.binary(min_size=8, max_size=8)
TWO = st.binary(min_size=2, max_size=2)
FILES = st.builds(EsamFileRead, TWO, TWO, TWO, TWO)

LAYOUTS = st.one_of(
    st.builds(IdentityAuthentication, EIGHT, EIGHT, EIGHT),
    st.builds(AuthenticationResult, MACS, EIGHT),
    st.builds(AuthenticationValidity, st.integers(0, 9999), MACS),
    st.builds(EndOfAuthentication, CLIENTS, WORDS, WORDS, MACS),
    st.builds(Purchase, WORDS, WORDS, MACS, CLIENTS, MACS),
    st.builds(WalletInitialisation, WORDS, MACS, WORDS, MACS),
    FILES,
    st.builds(EsamFile, FILES, st.binary(max_size=100), MACS),
    st.builds(PrepaymentStatus, WORDS, MACS, WORDS, MACS, CLIENTS, MACS),
    st.builds(VendorOrder, WORDS, EIGHT.map(bytes.hex), MACS, CLIENTS, MACS),
)


@given(LAYOUTS)
def test_every_layout_reads_back(content: Any) -> None:
    assert type(content).parse(content.encode()) == content


@given(LAYOUTS, st.binary(max_size=11))
def test_other_lengths_are_the_meters_fault(content: Any, data: bytes) -> None:
    if not isinstance(content, EsamFileRead | AuthenticationValidity):
        with pytest.raises(LayoutError):
            type(content).parse(data)


def test_lengths_of_the_specification() -> None:
    purchase = Purchase(100_000, 2, bytes(4), "000000000161", bytes(4))
    assert len(recharge("00000000", purchase).encode()) == 0x1E
    assert len(status_query("44332211").encode()) == 8
    assert purchase.encode()[:4].hex() == "a0860100"
    assert len(Security(0x070000FF, "00000000", bytes(24)).encode()) == 0x20
    validity = AuthenticationValidity(30, bytes(4))
    assert len(Security(0x070001FF, "00000000", validity.encode()).encode()) == 0x0E
    assert len(Security(0x078001FF, "00000000", bytes(8)).encode()) == 0x10


def test_an_account_is_opened_with_the_first_purchase() -> None:
    first = Purchase(100, 1, bytes(4), "000000000161", bytes(4))
    assert open_account("00000000", first).di == 0x070101FF
    with pytest.raises(FieldRangeError):
        open_account("00000000", Purchase(100, 2, bytes(4), "000000000161", bytes(4)))


@pytest.mark.parametrize(("name", "cents"), [("v107", 10_000), ("v108", 1_000)])
def test_a_vendors_orders_as_recorded(name: str, cents: int) -> None:
    request = parse_request(frame_named(name), Edition.Y2007)
    assert isinstance(request, Security)
    order = VendorOrder.parse(request.data)
    assert order.amount_cents == cents
    assert order.meter_number == "260305510012"
    assert order.encode() == request.data


@pytest.mark.parametrize(
    "make",
    [
        lambda: Purchase(-1, 0, bytes(4), "000000000161", bytes(4)),
        lambda: Purchase(1 << 32, 0, bytes(4), "000000000161", bytes(4)),
        lambda: Purchase(1, 0, bytes(3), "000000000161", bytes(4)),
        lambda: Purchase(1, 0, bytes(4), "161", bytes(4)),
        lambda: AuthenticationValidity(10_000, bytes(4)),
    ],
)
def test_misuse_is_local(make: Any) -> None:
    with pytest.raises(FieldRangeError):
        make()
