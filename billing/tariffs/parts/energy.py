"""Energy: a flat rate, time of use, steps, free units, surcharges per kWh."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo

from billing.tariffs.exact import kwh
from billing.tariffs.faults import UsageRefusedError
from billing.tariffs.ladder import Ladder, apportion, in_blocks, ladder_of, moved
from billing.tariffs.periods import Days, Share
from billing.tariffs.plan import BlocksPlan, FreePlan, Rated, StepPlan
from billing.tariffs.sheet import Sheet
from billing.tariffs.tariff import Period
from billing.tariffs.values import Usage
from billing.tariffs.version import TariffVersion


def price_energy(
    sheet: Sheet, version: TariffVersion, usage: Usage, days: Days, zone: tzinfo
) -> None:
    """Lines of everything that is counted in kWh.

    Raises:
        UsageRefusedError: the usage does not fit.
    """
    plan = sheet.plan
    total = usage.energy_wh["total"]
    if plan.needs_registers:
        _require_registers(plan.registers, plan.blocks, usage)
    if plan.flat is not None:
        sheet.energy(plan.flat, total, "energy")
    for register in plan.registers:
        used = usage.energy_wh.get(register.code, 0)
        if used:
            sheet.energy(register, used, register.name)
    if plan.blocks is not None:
        blocks = plan.blocks.blocks
        ladder = ladder_of(
            blocks.period, blocks.prorate, blocks.on_change, version.since, usage, days, zone
        )
        _price_blocks(sheet, plan.blocks, ladder, usage)
    if plan.free is not None and _has_free(plan.free, usage):
        on_change = version.tariff.free_on_change
        prorate = plan.free.free.prorate
        ladder = ladder_of(Period.MONTH, prorate, on_change, version.since, usage, days, zone)
        _price_free(sheet, plan.free, ladder, total)
    for rated in plan.per_kwh:
        if total:
            sheet.energy(rated, total, rated.name)


def _require_registers(registers: Sequence[Rated], blocks: BlocksPlan | None, usage: Usage) -> None:
    known = {each.code for each in registers}
    for step in blocks.steps if blocks else ():
        known |= {each.code.partition(".")[2] for each in step.registers}
    energy = usage.energy_wh
    told = sum(energy.get(code, 0) for code in known)
    if told != energy["total"]:
        raise UsageRefusedError(
            f"The tariff prices {', '.join(sorted(known))}, which have {kwh(told)} kWh together; "
            f"the total is {kwh(energy['total'])} kWh. Correct the readings, or take the sum of "
            "the registers as the total."
        )


def _price_blocks(sheet: Sheet, plan: BlocksPlan, ladder: Ladder, usage: Usage) -> None:
    total = usage.energy_wh["total"]
    begin = ladder.before_wh
    parts = in_blocks(plan.bounds, ladder.share, begin, begin + total)
    period = plan.blocks.period
    remaining = {
        code: wh for code, wh in usage.energy_wh.items() if wh and code != "total"
    }  # of the registers
    for number, (step, used) in enumerate(zip(plan.steps, parts, strict=True)):
        if not used:
            continue
        words = _block_words(plan, number, ladder.share, period)
        if step.rated is not None:
            sheet.energy(step.rated, used, words)
            continue
        for code, wh in apportion(used, remaining).items():
            rated = _register(step, code)
            if wh:
                sheet.energy(rated, wh, f"{words}, {rated.name}")
    for step, used in zip(plan.steps, moved(plan.bounds, ladder), strict=False):
        if used and step.rated is not None:
            words = (
                f"block {step.number}, earlier use of the {period.value} by limits for "
                f"{_share_words(ladder.share)}"
            )
            sheet.energy(step.rated, used, words, code=f"{step.rated.code}.cut")


def _register(step: StepPlan, code: str) -> Rated:
    wanted = f"block{step.number}.{code}"
    return next(each for each in step.registers if each.code == wanted)


def _block_words(plan: BlocksPlan, number: int, share: Share, period: Period) -> str:
    bounds = plan.bounds
    high = bounds[number]
    low = bounds[number - 1] if number else None
    cut = "" if share.part == share.of else f", limits for {_share_words(share)}"
    if high is None and low is None:
        return f"block {number + 1}"
    if high is None:
        assert low is not None
        reach = f"above {_limit(share.limit(low))} kWh"
    elif low is None:
        reach = f"up to {_limit(share.limit(high))} kWh"
    else:
        reach = f"{_limit(share.limit(low))} to {_limit(share.limit(high))} kWh"
    return f"block {number + 1} ({reach} of the {period.value}{cut})"


def _share_words(share: Share) -> str:
    return f"{share.part} of {share.of} {share.unit}"


def _limit(wh: int) -> str:
    return kwh(wh).rstrip("0").rstrip(".")


def _has_free(plan: FreePlan, usage: Usage) -> bool:
    return not plan.free.classes or usage.customer_class in plan.free.classes


def _price_free(sheet: Sheet, plan: FreePlan, ladder: Ladder, total: int) -> None:
    """The first units of the month, given back at their rate."""
    bounds = (plan.free.wh, None)
    begin = ladder.before_wh
    free = in_blocks(bounds, ladder.share, begin, begin + total)[0]
    limit = _limit(ladder.share.limit(plan.free.wh))
    if free:
        sheet.energy(plan.rated, -free, f"{plan.rated.name} (up to {limit} kWh of the month)")
    shifted = moved(bounds, ladder)
    if shifted and shifted[0]:
        words = f"{plan.rated.name}, earlier use by the limit for {_share_words(ladder.share)}"
        sheet.energy(plan.rated, -shifted[0], words, code="free.cut")
