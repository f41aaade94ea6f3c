"""Settings of a link that a URL may carry beside those of its line.

``delay_ms`` (how long a meter may think before it answers, also the longest that is learned),
``retries`` (0-10) and ``gap_ms`` (silence before a request) are taken out of the URL and put into
`LinkOptions`; everything else stays for `address`.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final
from urllib.parse import parse_qsl, urlencode

from protocols.transport.errors import LinkUrlError
from protocols.transport.options import LinkOptions

_NAMES: Final = ("delay_ms", "retries", "gap_ms")
_NUMBER: Final = re.compile("[0-9]{1,6}")


def take_link_options(url: str, options: LinkOptions) -> tuple[str, LinkOptions]:
    """The URL without such settings, and the options with them.

    Raises:
        LinkUrlError: a setting is no number, or out of its range.
    """
    head, _, query = url.partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    taken = {name: _number(url, name, text) for name, text in pairs if name in _NAMES}
    if not taken:
        return url, options
    rest = [(name, text) for name, text in pairs if name not in _NAMES]
    if "delay_ms" in taken:
        delay_ms = taken["delay_ms"]
        options = replace(
            options,
            delay_ms_min=min(options.delay_ms_min, delay_ms),
            delay_ms_first=delay_ms,
            delay_ms_max=max(delay_ms, options.delay_ms_max or 0),
        )
    if "retries" in taken:
        options = replace(options, retries=taken["retries"])
    if "gap_ms" in taken:
        options = replace(options, gap_ms=taken["gap_ms"])
    return f"{head}?{urlencode(rest)}" if rest else head, options


def _number(url: str, name: str, text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise LinkUrlError(f"{url!r}: {name} is a whole number, not {text!r}.")
    return int(text)
