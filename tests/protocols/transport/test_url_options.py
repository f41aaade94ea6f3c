"""Settings of a link in its URL."""

import pytest

from protocols.transport import LinkOptions, LinkUrlError, take_link_options

PLAIN = LinkOptions()


def test_settings_are_taken_and_the_rest_stays() -> None:
    url = "serial:///dev/ttyUSB0?baud=2400&delay_ms=2000&parity=E&retries=0&gap_ms=5"
    rest, options = take_link_options(url, PLAIN)
    assert rest == "serial:///dev/ttyUSB0?baud=2400&parity=E"
    assert (options.delay_ms_first, options.retries, options.gap_ms) == (2000, 0, 5)
    assert options.delay_ms_max is not None
    assert options.delay_ms_max >= 2000


def test_a_url_without_settings_is_not_touched() -> None:
    for url in ("tcp://h:1", "tcp://[fd00::7]:1?baud=2400", "nonsense://[", ""):
        assert take_link_options(url, PLAIN) == (url, PLAIN)


def test_a_short_delay_is_allowed_too() -> None:
    _, options = take_link_options("tcp://h:1?delay_ms=5", PLAIN)
    assert (options.delay_ms_min, options.delay_ms_first, options.delay_ms_max) == (5, 5, 5)


@pytest.mark.parametrize("setting", ["delay_ms=soon", "delay_ms=0", "retries=99", "gap_ms=-1"])
def test_settings_that_make_no_sense_are_refused(setting: str) -> None:
    with pytest.raises(LinkUrlError):
        take_link_options(f"tcp://h:1?{setting}", PLAIN)
