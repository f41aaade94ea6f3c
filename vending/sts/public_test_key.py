"""The published test vending key, for demonstrations and first steps.

.. warning::
   Everybody knows it: anyone can make tokens for a meter that holds a key derived from it.
   Whatever is sold with it carries a TEST mark.
"""

from __future__ import annotations

from typing import Final

from vending.sts.identity import KeyGeneration, SupplyGroupCode
from vending.sts.keys import VendingKey

TEST_SUPPLY_GROUP: Final = SupplyGroupCode("123457")
TEST_KEY_GENERATION: Final = KeyGeneration.DKGA04
PUBLIC_TEST_VENDING_KEY: Final = VendingKey.from_hex("abababababababab949494949494949401234567")
"""160 bits, of the STS 531 test series (``tests/vectors/sts.json``)."""
