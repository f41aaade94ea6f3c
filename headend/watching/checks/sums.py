"""Sub-meters against their parent; tariff registers against the total."""

from __future__ import annotations

from collections.abc import Sequence

from headend.watching.checks.flag import Flag, kwh
from headend.watching.thresholds import Limits


def sub_sum(parent_wh: int, subs_wh: Sequence[int], limits: Limits) -> Flag | None:
    """Judge a parent meter and those below it, over the same span.

    The parent measures what goes through them, so that they cannot have more.

    Args:
        parent_wh: the parent's energy.
        subs_wh: each sub-meter's; none of them missing.
        limits: ``sum_slack_percent``, ``sum_slack_wh``: what classes of accuracy explain.
    """
    together = sum(subs_wh)
    slack = parent_wh * limits["sum_slack_percent"] // 100 + limits["sum_slack_wh"]
    if together <= parent_wh + slack:
        return None
    return Flag(
        "sub_sum",
        f"The {len(subs_wh)} sub-meters counted {kwh(together)}, their parent {kwh(parent_wh)}. "
        "Is a sub-meter below another parent, the parent's ratio wrong, or the parent bypassed?",
        {"parent_wh": parent_wh, "subs_wh": together, "subs": len(subs_wh)},
    )


def tariff_gap(total_wh: int, tariffs_wh: Sequence[int], limits: Limits) -> Flag | None:
    """Judge what the tariff registers counted against the total, over the same span.

    Args:
        total_wh: by the total register.
        tariffs_wh: by each tariff register.
        limits: ``tariff_gap_wh``.
    """
    gap = sum(tariffs_wh) - total_wh
    if abs(gap) < limits["tariff_gap_wh"]:
        return None
    return Flag(
        "tariff_gap",
        f"The tariff registers counted {kwh(sum(tariffs_wh))}, the total {kwh(total_wh)}: "
        f"{kwh(abs(gap))} {'more' if gap > 0 else 'less'}. Read all of them at one moment; if it "
        "stays so, the meter is exchanged.",
        {"total_wh": total_wh, "tariffs_wh": sum(tariffs_wh), "gap_wh": gap},
    )
