"""Energy: a flat rate, time of use, steps, free units, surcharges per kWh."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo

from billing.tariffs.exact import kwh, short_kwh
from billing.tariffs.faults import UsageRefusedError
from billing.tariffs.ladder import Ladder, apportion, in_blocks, ladder_of, moved
from billing.tariffs.periods import Days, Share
from billing.tariffs.plan import BlocksPlan, FreePlan, StepPlan
from billing.tariffs.preparing import step_words
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
    if plan.asked:
        _require_registers(plan.asked, usage)
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


def _require_registers(asked: Sequence[str], usage: Usage) -> None:
    energy = usage.energy_wh
    told = 0
    for code in asked:
        told += energy.get(code, 0)
    if told != energy["total"]:
        raise UsageRefusedError(
            f"The tariff prices {', '.join(asked)}, which have {kwh(told)} kWh together; "
            f"the total is {kwh(energy['total'])} kWh. Correct the readings, or take the sum of "
            "the registers as the total."
        )


def _price_blocks(sheet: Sheet, plan: BlocksPlan, ladder: Ladder, usage: Usage) -> None:
    total = usage.energy_wh["total"]
    begin = ladder.before_wh
    parts = in_blocks(plan.bounds, ladder.share, begin, begin + total)
    period = plan.blocks.period
    words = plan.words
    if ladder.share.part != ladder.share.of:
        limits = [None if each is None else ladder.share.limit(each) for each in plan.bounds]
        cut = f", limits for {_share_words(ladder.share)}"
        words = step_words(limits, period.value, cut)
    remaining = {code: wh for code, wh in usage.energy_wh.items() if wh and code != "total"}
    for step, used, said in zip(plan.steps, parts, words, strict=True):
        if used and step.rated is not None:
            sheet.energy(step.rated, used, said)
        elif used:
            _price_registers(sheet, step, apportion(used, remaining), said)
    for step, used in zip(plan.steps, moved(plan.bounds, ladder), strict=False):
        if used and step.rated is not None:
            said = (
                f"block {step.number}, earlier use of the {period.value} by limits for "
                f"{_share_words(ladder.share)}"
            )
            sheet.energy(step.rated, used, said, code=f"{step.rated.code}.cut")


def _price_registers(sheet: Sheet, step: StepPlan, energy: Mapping[str, int], said: str) -> None:
    """Energy of a step that has a rate for each register."""
    for rated in step.registers:
        used = energy.get(rated.code.partition(".")[2], 0)
        if used:
            sheet.energy(rated, used, f"{said}, {rated.name}")


def _share_words(share: Share) -> str:
    return f"{share.part} of {share.of} {share.unit}"


def _has_free(plan: FreePlan, usage: Usage) -> bool:
    return not plan.free.classes or usage.customer_class in plan.free.classes


def _price_free(sheet: Sheet, plan: FreePlan, ladder: Ladder, total: int) -> None:
    """The first units of the month, given back at their rate."""
    bounds = (plan.free.wh, None)
    begin = ladder.before_wh
    free = in_blocks(bounds, ladder.share, begin, begin + total)[0]
    limit = short_kwh(ladder.share.limit(plan.free.wh))
    if free:
        sheet.energy(plan.rated, -free, f"{plan.rated.name} (up to {limit} kWh of the month)")
    shifted = moved(bounds, ladder)
    if shifted and shifted[0]:
        words = f"{plan.rated.name}, earlier use by the limit for {_share_words(ladder.share)}"
        sheet.energy(plan.rated, -shifted[0], words, code="free.cut")
