import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.transport import (
    LineSettings,
    LinkUrlError,
    Parity,
    Rs485,
    SerialAddress,
    StopBits,
    TcpAddress,
    parse_link_url,
)


def test_serial_with_everything() -> None:
    address = parse_link_url(
        "serial:///dev/ttyUSB0?baud=9600&parity=n&bits=7&stop=1.5&exclusive=no"
        "&rs485=inverted&rs485_before_ms=2&rs485_after_ms=3&rs485_echo=yes"
    )
    assert address == SerialAddress(
        path="/dev/ttyUSB0",
        line=LineSettings(baud=9600, parity=Parity.NONE, bits=7, stop=StopBits.ONE_AND_A_HALF),
        rs485=Rs485(rts_on_send=False, before_ms=2, after_ms=3, echo=True),
        exclusive=False,
    )


def test_what_the_url_leaves_out_comes_from_the_caller() -> None:
    custom = LineSettings(baud=2400, parity=Parity.EVEN)
    assert parse_link_url("serial:///dev/ttyS1", custom) == SerialAddress(
        path="/dev/ttyS1", line=custom
    )
    assert parse_link_url("serial:///dev/ttyS1?baud=1200", custom) == SerialAddress(
        path="/dev/ttyS1", line=LineSettings(baud=1200, parity=Parity.EVEN)
    )


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("tcp://10.0.0.7:4001", TcpAddress(host="10.0.0.7", port=4001)),
        ("tcp://[fd00::7]:4001", TcpAddress(host="fd00::7", port=4001)),
        (
            "tcp://gateway.example:502?baud=2400",
            TcpAddress(host="gateway.example", port=502, line=LineSettings(baud=2400)),
        ),
    ],
)
def test_tcp(url: str, address: TcpAddress) -> None:
    assert parse_link_url(url) == address
    assert str(address) == url.partition("?")[0]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("/dev/ttyUSB0", "is no link URL; write serial:///dev/ttyUSB0"),
        ("http://host:80", "is no link URL"),
        ("serial://dev/ttyUSB0?baud=2400", "serial:///dev/ttyUSB0"),
        ("serial://?baud=2400", "names no serial port"),
        ("serial:///dev/ttyUSB0", r"needs a speed, e\.g\. serial:///dev/ttyUSB0\?baud=2400"),
        ("serial:///dev/ttyUSB0?baud=fast", "baud is a whole number, not 'fast'"),
        ("serial:///dev/ttyUSB0?baud=0", "0 baud is not 50-4000000"),
        ("serial:///dev/ttyUSB0?baud=2400&parity=X", "parity is one of N, E, O, M, S, not 'X'"),
        ("serial:///dev/ttyUSB0?baud=2400&bits=9", "5 to 8 data bits, not 9"),
        ("serial:///dev/ttyUSB0?baud=2400&stop=3", r"stop is one of 1, 1\.5, 2, not '3'"),
        ("serial:///dev/ttyUSB0?baud=2400&exclusive=maybe", "exclusive is yes or no"),
        ("serial:///dev/ttyUSB0?baud=2400&speed=1", "option 'speed' is unknown; known are baud"),
        ("serial:///dev/ttyUSB0?baud=2400&baud=1200", "gives an option twice"),
        ("serial:///dev/ttyUSB0?baud", "options are written a=1&b=2"),
        ("serial:///dev/ttyUSB0?baud=2400&rs485=rts", "rs485 is off, on or inverted"),
        ("serial:///dev/ttyUSB0?baud=2400&rs485_echo=yes", "rs485_echo needs rs485=on"),
        (
            "serial:///dev/ttyUSB0?baud=2400&rs485=on&rs485_after_ms=5000",
            "RS-485 pauses are 0-1000 ms",
        ),
        ("tcp://host", "needs a host and a port"),
        ("tcp://host:0", "needs a host and a port"),
        ("tcp://host:99999", "is no link URL: Port out of range"),
        ("tcp://:502", "needs a host and a port"),
        ("tcp://host:502/unit", "nothing may follow the port"),
        ("tcp://host:502?parity=E", r"no speed; add baud="),
        ("tcp://me@host:502", "no '#' and no '@' part"),
        ("tcp://host:502?exclusive=yes", "option 'exclusive' is unknown"),
        ("tcp://" + "h" * 3000, "more than 2048 characters"),
    ],
)
def test_what_is_wrong_is_said(url: str, message: str) -> None:
    with pytest.raises(LinkUrlError, match=message):
        parse_link_url(url)


@given(st.text(max_size=60) | st.text(max_size=40).map("serial:///dev/tty?".__add__))
def test_nothing_but_link_url_errors(text: str) -> None:
    try:
        parse_link_url(text)
    except LinkUrlError:
        return


def test_an_8e1_character_has_11_bits() -> None:
    line = LineSettings(baud=2400)
    assert line.bits_per_character == 11
    assert line.duration_s(214) == pytest.approx(0.98, abs=0.001)
    assert str(line) == "2400 8E1"
    assert LineSettings(baud=9600, parity=Parity.NONE, stop=StopBits.TWO).bits_per_character == 11
