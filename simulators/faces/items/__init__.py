"""Data items of DL/T 645-2007 as a simulated meter answers them: identifier → bytes.

=================  =============================================================
`energies`         class 00
`demands`          class 01
`variables`        class 02
`event_records`    class 03, and 10-1E
`parameter_read`   class 04 (`token_items`: the makers' range 04 F0)
`frozen`           class 05
=================  =============================================================

Class 06 is asked for with a number of records and stands in `simulators.metering.load_records`.
"""

from simulators.faces.items.dispatch import read_item

__all__ = ["read_item"]
