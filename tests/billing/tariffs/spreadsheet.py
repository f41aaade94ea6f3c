"""A second opinion: the same bill worked out as one would on a sheet of paper, with fractions.

It shares no code with `billing.tariffs`, reads the document as it is written, and knows nothing of
settlements in parts except the numbers that a usage brings along.  Slow and plain on purpose.
"""

from __future__ import annotations

import calendar
import math
from collections.abc import Mapping
from datetime import date, datetime
from fractions import Fraction
from typing import Any

Row = tuple[str, Fraction]
"""Code of a line, and its amount in major units."""

TABLE_090 = (
    # power factor in hundredths: percent; the table of 1983 for the standard 0.90, as printed
    "100:-.75 95:-.75 94:-.60 93:-.45 92:-.30 91:-.15 90:0 89:.5 88:1 87:1.5 86:2 85:2.5 84:3 "
    "83:3.5 82:4 81:4.5 80:5 79:5.5 78:6 77:6.5 76:7 75:7.5 74:8 73:8.5 72:9 71:9.5 70:10 69:11 "
    "68:12 67:13 66:14 65:15"
)
TABLE_085 = (
    "100:-1.1 94:-1.1 93:-.95 92:-.80 91:-.65 90:-.5 89:-.4 88:-.3 87:-.2 86:-.1 85:0 84:.5 83:1 "
    "82:1.5 81:2 80:2.5 79:3 78:3.5 77:4 76:4.5 75:5 74:5.5 73:6 72:6.5 71:7 70:7.5 69:8 68:8.5 "
    "67:9 66:9.5 65:10 64:11 63:12 62:13 61:14 60:15"
)
TABLE_080 = (
    "100:-1.3 92:-1.3 91:-1.15 90:-1 89:-.9 88:-.8 87:-.7 86:-.6 85:-.5 84:-.4 83:-.3 82:-.2 "
    "81:-.1 80:0 79:.5 78:1 77:1.5 76:2 75:2.5 74:3 73:3.5 72:4 71:4.5 70:5 69:5.5 68:6 67:6.5 "
    "66:7 65:7.5 64:8 63:8.5 62:9 61:9.5 60:10 59:11 58:12 57:13 56:14 55:15"
)
TABLES = {
    name: {int(entry.split(":")[0]): Fraction(entry.split(":")[1]) for entry in table.split()}
    for name, table in (("0.90", TABLE_090), ("0.85", TABLE_085), ("0.80", TABLE_080))
}


def factor_percent(standard: str, hundredths: int) -> Fraction:
    """What the printed table says; below its last row, 2 % for each hundredth."""
    table = TABLES[standard]
    if hundredths in table:
        return table[hundredths]
    lowest = min(table)
    if hundredths < lowest:
        return table[lowest] + 2 * (lowest - hundredths)
    return table[100]  # between the row from which nothing more is taken off, and 1.00


def rows(document: Mapping[str, Any], usage: Mapping[str, Any]) -> list[Row]:
    """The lines of a usage.

    Args:
        document: a tariff's.
        usage: ``since``, ``until`` local times; ``wh`` by register; and what `Usage` has besides.
    """
    sheet = _Sheet(document, usage)
    sheet.fill()
    return sheet.rows


class _Sheet:
    def __init__(self, document: Mapping[str, Any], usage: Mapping[str, Any]) -> None:
        self.document, self.usage = document, usage
        self.rows: list[Row] = []
        self.groups: dict[str, list[int]] = {}
        self.since: datetime = usage["since"]
        self.until: datetime = usage["until"]
        self.total = Fraction(usage["wh"]["total"], 1000)

    def put(self, group: str, code: str, amount: Fraction, part_of: str = "") -> None:
        self.rows.append((code, amount))
        for name in {group, code, part_of} - {""}:
            self.groups.setdefault(name, []).append(len(self.rows) - 1)

    def sum(self, names: list[str]) -> Fraction:
        places = {place for name in names for place in self.groups.get(name, [])}
        return sum((self.rows[place][1] for place in places), Fraction(0))

    def fill(self) -> None:
        document = self.document
        energy = document.get("energy", {})
        if "rate" in energy:
            self.put("energy", "energy", self.total * Fraction(energy["rate"]))
        for code, rate in energy.get("rates", {}).items():
            self.put("energy", code, self.kwh(code) * Fraction(rate))
        if "blocks" in document:
            self.blocks(document["blocks"])
        if "free" in document:
            self.free(document["free"])
        for each in document.get("surcharges", []):
            if "rate" in each:
                self.put("surcharge", each["code"], self.total * Fraction(each["rate"]))
        self.demand()
        for each in document.get("fees", []):
            self.fee(each)
        if "power_factor" in document:
            self.factor(document["power_factor"])
        for each in document.get("surcharges", []):
            if "percent" in each:
                amount = self.sum(each["on"]) * Fraction(each["percent"]) / 100
                self.put("surcharge", each["code"], amount)
        for each in document.get("taxes", []):
            if not each.get("contained"):
                amount = self.sum(each["on"]) * Fraction(each["percent"]) / 100
                self.put("tax", each["code"], amount)

    def kwh(self, code: str) -> Fraction:
        return Fraction(self.usage["wh"].get(code, 0), 1000)

    # --- energy in steps

    def blocks(self, blocks: Mapping[str, Any]) -> None:
        period = blocks.get("period", "month")
        before = Fraction(self.usage.get("before", {}).get(period, 0), 1000)
        limits = [step.get("up_to") for step in blocks["steps"]]
        now, first = self.limits(limits, period, blocks)
        for number, step in enumerate(blocks["steps"]):
            used = _between(now, number, before, before + self.total)
            code = f"block{number + 1}"
            if "rates" in step:
                for register, rate in step["rates"].items():
                    share = self.kwh(register) / self.total if self.total else Fraction(0)
                    amount = used * share * Fraction(rate)
                    self.put("energy", f"{code}.{register}", amount)
                continue
            rate = Fraction(step.get("rate", step.get("adds", 0)))
            self.put("energy", code, used * rate)
            earlier = _between(now, number, Fraction(0), before)
            earlier -= _between(first, number, Fraction(0), before)
            self.put("energy", f"{code}.cut", earlier * rate)

    def free(self, free: Mapping[str, Any]) -> None:
        classes = free.get("classes")
        if classes and self.usage.get("customer_class") not in classes:
            return
        before = Fraction(self.usage.get("before", {}).get("month", 0), 1000)
        now, first = self.limits([free["kwh"], None], "month", free)
        rate = -Fraction(free["rate"])
        self.put("energy", "free", _between(now, 0, before, before + self.total) * rate)
        earlier = _between(now, 0, Fraction(0), before) - _between(first, 0, Fraction(0), before)
        self.put("energy", "free.cut", earlier * rate)

    def limits(
        self, limits: list[Any], period: str, words: Mapping[str, Any]
    ) -> tuple[list[Fraction | None], list[Fraction | None]]:
        """Limits for this usage, and those that earlier ones of the period had."""
        prorate = words.get("prorate", "days")
        day = self.since.date()
        begin = date(day.year, day.month if period == "month" else 1, 1)
        after = date(day.year + 1, 1, 1)
        if period == "month" and day.month < 12:
            after = date(day.year, day.month + 1, 1)
        start, stop = begin, after
        if self.usage.get("supply_since"):
            start = max(start, self.usage["supply_since"].date())
        if words.get("on_change") == "split" and self.usage.get("version_since"):
            start = max(start, self.usage["version_since"].date())
        ends = self.usage.get("supply_ends") or (
            words.get("on_change") == "split" and self.usage.get("version_ends")
        )
        if ends:
            stop = self.until.date()
        return (
            [_cut(limit, prorate, start, stop, begin, after) for limit in limits],
            [_cut(limit, prorate, start, after, begin, after) for limit in limits],
        )

    # --- what is charged for time

    def demand(self) -> None:
        document, usage = self.document, self.usage
        if "capacity" in document:
            rate = Fraction(document["capacity"]["per_month"])
            contracted = Fraction(usage["capacity"], 1000)
            self.put("demand", "capacity", contracted * rate * self.months())
        if "demand" not in document:
            return
        demand = document["demand"]
        contracted = Fraction(usage.get("capacity") or 0, 1000)
        least = contracted * Fraction(demand.get("at_least_percent", 0)) / 100
        now = max(Fraction(usage["demand_w"], 1000), least)
        over = Fraction(0)
        if "excess_over_percent" in demand:
            limit = contracted * Fraction(demand["excess_over_percent"]) / 100
            over = max(Fraction(0), now - limit)
            now -= over
        self.put("demand", "demand", now * Fraction(demand["per_month"]) * self.months())
        excess = over * Fraction(demand.get("excess_per_month", 0)) * self.months()
        self.put("demand", "demand_excess", excess)

    def fee(self, fee: Mapping[str, Any]) -> None:
        if "per_day" in fee:
            days = (self.until.date() - self.since.date()).days
            self.put("fixed", fee["code"], days * Fraction(fee["per_day"]))
        else:
            self.put("fixed", fee["code"], self.months() * Fraction(fee["per_month"]))

    def months(self) -> Fraction:
        """How many months the span is, each day a share of its own month."""
        found = Fraction(0)
        day = self.since.date().toordinal()
        while day < self.until.date().toordinal():
            at = date.fromordinal(day)
            found += Fraction(1, calendar.monthrange(at.year, at.month)[1])
            day += 1
        return found

    # --- percentages

    def factor(self, factor: Mapping[str, Any]) -> None:
        nextday = self.until.date()
        ends = nextday.day == 1 and nextday > self.since.date()
        if not ends and not self.usage.get("supply_ends"):
            return
        before = self.usage.get("month_before", {})
        active = self.usage["wh"]["total"] + before.get("active_wh", 0)
        reactive = self.usage["varh"] + before.get("reactive_varh", 0)
        if not active and not reactive:
            return
        hundredths = next(
            h
            for h in range(100, -1, -1)
            # h is reached when 100 PF >= h - 1/2, that is (2h - 1)^2 S^2 <= (200 P)^2
            if h == 0 or (2 * h - 1) ** 2 * (active**2 + reactive**2) <= (200 * active) ** 2
        )
        on = factor.get("on", ["energy", "demand"])
        base = self.sum(on) + Fraction(before.get("charges", 0))
        percent = factor_percent(factor["standard"], hundredths)
        self.put("power_factor", "power_factor", base * percent / 100)


def _cut(
    limit: str | None, prorate: str, start: date, stop: date, begin: date, after: date
) -> Fraction | None:
    if limit is None:
        return None
    whole = Fraction(limit)
    if prorate == "none":
        return whole
    if prorate == "months":
        months = len({(d.year, d.month) for d in _days(start, stop)}) or 1
        return _to_wh(whole * months / 12)
    return _to_wh(whole * max(1, (stop - start).days) / (after - begin).days)


def _days(start: date, stop: date) -> list[date]:
    return [date.fromordinal(n) for n in range(start.toordinal(), stop.toordinal())]


def _to_wh(kwh: Fraction) -> Fraction:
    return Fraction(math.floor(kwh * 1000 + Fraction(1, 2)), 1000)


def _between(
    limits: list[Fraction | None], number: int, begin: Fraction, end: Fraction
) -> Fraction:
    low = (limits[number - 1] if number else None) or Fraction(0)
    high = limits[number]
    top = end if high is None else min(end, high)
    return max(Fraction(0), top - max(begin, low))
