"""The catalogue of data items: what an identifier means, in both editions.

The tables are the TOML files beside this one, a file for each class (spec sections 4 and 5);
they are read once, when something is first looked up.  An item's line::

    [[item]]
    di = "00 01 tariff settlement"      # a pattern, see `patterns`
    en = "Forward active energy{tariff}{settlement}"
    zh = "{settlement}正向有功{tariff}电能"
    as = ["XXXXXX.XX kWh"]              # elements, see `values`; or the name of a payload
    or = [["…"]]                        # layouts of other lengths that meters answer with
    repeat = true                       # the elements go on as long as the answer does
    open = true                         # further bytes follow that no source explains
    access = "rw"                       # r (default), rw, w
    in_2007 = "0001{tariff_97}{month_97}"  # in the 1997 file: the same item in 2007
    grade = "A"                         # how sure, as in the specification

Decoding never guesses: a length that fits no layout gives the bytes and a note, not a number.
"""

from protocols.dlt645.catalogue.items import Decoded, Item
from protocols.dlt645.catalogue.lookup import (
    decode,
    encode,
    find,
    in_1997,
    in_2007,
    items,
    parse_values,
)
from protocols.dlt645.catalogue.naming import named, parse_item

__all__ = [
    "Decoded",
    "Item",
    "decode",
    "encode",
    "find",
    "in_1997",
    "in_2007",
    "items",
    "named",
    "parse_item",
    "parse_values",
]
