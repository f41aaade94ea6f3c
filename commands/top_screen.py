"""What `meterhouse top` shows: figures in six lines, and lists that share the room below.

A list that has more than its share says so in its last line; on a wide screen the lists stand in
two columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from commands.top_pace import Pace
from headend.service.overview import LAST_ORDERS, WORKER_SILENT, Overview
from headend.watching.alarms import Severity
from headend.work.port import Urgency

if TYPE_CHECKING:
    from headend.service.overview import RoundLine
    from headend.service.overview_links import LinkLine

WIDE: Final = 120
"""From so many columns on the lists stand side by side."""
_FIGURES: Final = 6
_LABEL: Final = 9
_BARS: Final = "▁▂▃▄▅▆▇█"
_GOOD_TENTHS: Final = 995
_POOR_TENTHS: Final = 950
_COLOURS: Final = {
    Severity.CRITICAL: "bold red",
    Severity.WARNING: "yellow",
    Severity.NOTICE: "cyan",
}
_LINK_COLOURS: Final = {"silent": "red", "busy": "green", "away": "yellow"}


@dataclass(frozen=True, slots=True)
class Shown:
    """What a screen is made of, besides the overview."""

    title: str
    """Which head-end it is."""
    foot: str
    """What can be done, or what is wrong."""
    is_fault: bool
    zone: tzinfo


@dataclass(frozen=True, slots=True)
class _Section:
    """A list: its headings, and a row for each thing."""

    name: str
    headings: Sequence[str]
    """The first one is the section's name; a leading > stands for flush right, a leading *
    for the one column that takes the rest."""
    rows: Sequence[Sequence[Text | str]]
    more: int
    """How many there are that the overview has not given."""
    none: str


def screen(
    overview: Overview, pace: Pace, shown: Shown, width: int, height: int | None
) -> RenderableType:
    """The whole of it.

    Args:
        overview: the last look.
        pace: how fast rounds go on.
        shown: title and foot.
        width: columns of the terminal.
        height: its lines; None: as many as it takes.
    """
    when = overview.at.astimezone(shown.zone)
    head = Table.grid(expand=True)
    head.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    head.add_column(justify="right", no_wrap=True)
    head.add_row(Text(shown.title, "bold"), Text(f"{when:%Y-%m-%d %H:%M:%S %Z}"))
    foot = Text(shown.foot, "bold red" if shown.is_fault else "dim", no_wrap=True)
    foot.truncate(width, overflow="ellipsis")
    room = None if height is None else max(0, height - 2 - _FIGURES)
    lists = _lists(_sections(overview, pace, shown.zone), width, room)
    parts: list[RenderableType] = [head, _figures(overview, width), *lists]
    if height is not None:
        parts.append(foot)
    return Group(*parts)


def _figures(overview: Overview, width: int) -> Table:
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(style="bold", width=_LABEL - 1, no_wrap=True)
    grid.add_column(no_wrap=True, overflow="ellipsis", max_width=max(10, width - _LABEL))
    for label, words in (
        ("Links", _links(overview)),
        ("Reads", _reads(overview)),
        ("Queue", _queue(overview)),
        ("Orders", _orders(overview)),
        ("Alarms", _alarms(overview)),
        ("Workers", _workers(overview)),
    ):
        grid.add_row(label, words)
    return grid


# --- one line each -------------------------------------------------------------------------


def _links(overview: Overview) -> Text:
    links = overview.links
    parts = [
        Text(f"{links.active:,} active"),
        Text(f"{links.busy:,} busy", "green" if links.busy else ""),
        Text(f"{links.answering:,} heard this hour"),
        Text(f"{links.silent:,} silent", "red" if links.silent else ""),
    ]
    if links.modems:
        away = links.connected < links.modems
        words = f"modems {links.connected:,} of {links.modems:,}"
        parts.append(Text(words, "yellow" if away else ""))
    if links.suspended:
        parts.append(Text(f"{links.suspended:,} suspended", "dim"))
    return _joined(parts)


def _reads(overview: Overview) -> Text:
    parts = []
    for hours in (1, 24):
        asked, answered = overview.success(hours)
        words = f"{hours} h "
        if not asked:
            parts.append(Text(f"{words}nobody asked", "dim"))
            continue
        tenths = 1_000 * answered // asked
        colour = "green" if tenths >= _GOOD_TENTHS else "yellow"
        share = Text(words).append(
            f"{tenths // 10}.{tenths % 10} %", "red" if tenths < _POOR_TENTHS else colour
        )
        parts.append(share.append(f" of {asked:,}"))
    return _joined(parts).append("  ").append(_sparkline(overview))


def _sparkline(overview: Overview) -> str:
    """Visits answered by hour, the present one last."""
    if not overview.hours:
        return ""
    by_hour = {each.hour: each.answered for each in overview.hours}
    last = overview.at.replace(minute=0, second=0, microsecond=0)
    counts = [by_hour.get(last - timedelta(hours=back), 0) for back in range(23, -1, -1)]
    most = max(counts)
    if not most:
        return ""
    return "".join(_BARS[(len(_BARS) - 1) * count // most] if count else " " for count in counts)


def _queue(overview: Overview) -> Text:
    waiting = sum(each.waiting for each in overview.queue)
    running = sum(each.running for each in overview.queue)
    since = [each.oldest_at for each in overview.queue if each.oldest_at is not None]
    words = f"{waiting:,} waiting"
    if since:
        words += f" (oldest {span(overview.at - min(since))})"
    return _joined([Text(words), Text(f"{running:,} running", "green" if running else "")])


def _orders(overview: Overview) -> Text:
    names = {
        "queued": "",
        "sending": "green",
        "unknown": "bold red",
        "waiting_approval": "yellow",
    }
    parts = [
        Text(f"{overview.orders_open[state]:,} {state.replace('_', ' ')}",
             colour if overview.orders_open[state] else "")
        for state, colour in names.items()
    ]  # fmt: skip
    ended = {state: count for state, count in overview.orders_last.items() if state not in names}
    if ended:
        words = ", ".join(f"{count:,} {state}" for state, count in sorted(ended.items()))
        parts.append(Text(f"of the last {LAST_ORDERS:,}: {words}", "dim"))
    return _joined(parts)


def _alarms(overview: Overview) -> Text:
    parts = [
        Text(f"{overview.alarms_open[each]:,} {each}",
             _COLOURS[each] if overview.alarms_open[each] else "")
        for each in reversed(Severity)
    ]  # fmt: skip
    if overview.alarms_unacknowledged:
        parts.append(Text(f"{overview.alarms_unacknowledged:,} nobody has taken", "yellow"))
    return _joined(parts)


def _workers(overview: Overview) -> Text:
    if not overview.workers:
        return Text("none at work: start `meterhouse serve`", "yellow")
    parts = []
    for each in overview.workers:
        silent = overview.at - each.seen_at
        part = Text(f"{each.name} ")
        if silent > WORKER_SILENT:
            parts.append(part.append(f"silent for {span(silent)}", "red"))
        else:
            parts.append(part.append(f"{each.running:,} jobs", "green" if each.running else ""))
    return _joined(parts)


# --- lists ---------------------------------------------------------------------------------


def _sections(overview: Overview, pace: Pace, zone: tzinfo) -> list[_Section]:
    return [
        _Section(
            "Rounds",
            ("*Rounds", "", ">settled", ">missed", ">left", ">closes"),
            [_round(each, overview, pace, zone) for each in overview.rounds],
            overview.rounds_open - len(overview.rounds),
            "no round is under way",
        ),
        _Section(
            "Links",
            ("*Links", "state", ">since", ">answered", ">busy", ">heard"),
            [_link(each, overview) for each in overview.lines],
            overview.links.active + overview.links.suspended - len(overview.lines),
            "none is registered",
        ),
        _Section(
            "Queue",
            ("*Queue", ">waiting", ">running", ">oldest"),
            [
                (
                    Text(f"{_urgency(each.urgency)} {each.kind}"),
                    f"{each.waiting:,}",
                    f"{each.running:,}",
                    "" if each.oldest_at is None else span(overview.at - each.oldest_at),
                )
                for each in overview.queue
            ],
            0,
            "nothing waits",
        ),
        _Section(
            "Alarms",
            ("Alarms", "*", ">for", ">times"),
            [
                (
                    Text(each.kind, _COLOURS[each.severity]),
                    Text(f"{each.about}: {each.words}", "" if each.state == "open" else "dim"),
                    span(overview.at - each.first_at),
                    f"{each.count:,}",
                )
                for each in overview.alarms
            ],
            sum(overview.alarms_open.values()) - len(overview.alarms),
            "none is open",
        ),
        _Section(
            "Workers",
            ("*Workers", ">jobs", ">up", ">seen"),
            [
                (
                    Text(each.name),
                    f"{each.running:,}",
                    span(overview.at - each.since),
                    Text(
                        f"{span(overview.at - each.seen_at)} ago",
                        "red" if overview.at - each.seen_at > WORKER_SILENT else "",
                    ),
                )
                for each in overview.workers
            ],
            0,
            "none at work",
        ),
    ]


def _round(each: RoundLine, overview: Overview, pace: Pace, zone: tzinfo) -> Sequence[Text | str]:
    left = pace.left(each, overview.at)
    return (
        Text(each.name if each.kind == "plan" else f"{each.name} ({each.kind})"),
        _bar(each.settled, each.devices),
        f"{each.settled:,}/{each.devices:,}",
        Text(f"{each.missed:,}", "yellow" if each.missed else ""),
        "waits" if left is None else span(left),
        f"{each.closes_at.astimezone(zone):%H:%M}",
    )


def _bar(done: int, total: int) -> Text:
    width = 10
    full = width * done // total if total else width
    return Text("━" * full, "green").append("━" * (width - full), "bright_black")


def _link(each: LinkLine, overview: Overview) -> Sequence[Text | str]:
    state = f"busy: {each.job}" if each.state == "busy" else each.state
    if each.waiting and each.state in ("busy", "silent"):
        state += f" +{each.waiting}"
    past = overview.at - overview.at.replace(minute=0, second=0, microsecond=0)
    busy = each.busy_ms * 100 // (int((past + timedelta(hours=1)).total_seconds()) * 1_000)
    return (
        Text(each.name),
        Text(state, _LINK_COLOURS.get(each.state, "")),
        "" if each.since is None else span(overview.at - each.since),
        f"{each.answered:,}/{each.asked:,}" if each.asked else "",
        f"{min(busy, 100)} %" if each.asked else "",
        _heard(each.heard_hour, overview.at),
    )


def _heard(hour: datetime | None, now: datetime) -> str:
    if hour is None:
        return "not in 7 d"
    whole = (now - hour) // timedelta(hours=1)
    return "this hour" if not whole else f"{whole} h ago"


def _urgency(number: int) -> str:
    return Urgency(number).name.lower().replace("_", " ") if number in set(Urgency) else str(number)


def _lists(sections: list[_Section], width: int, room: int | None) -> list[RenderableType]:
    if width < WIDE:
        order = {"Rounds": 0, "Alarms": 1, "Queue": 2, "Links": 3}
        chosen = sorted(
            (each for each in sections if each.name in order), key=lambda each: order[each.name]
        )
        return _column(chosen, width, room)
    grid = Table.grid(padding=(0, 2, 0, 0), expand=True)
    half = (width - 2) // 2
    for _ in range(2):
        grid.add_column(width=half)
    left = [each for each in sections if each.name in ("Rounds", "Links")]
    right = [each for each in sections if each.name not in ("Rounds", "Links")]
    grid.add_row(Group(*_column(left, half, room)), Group(*_column(right, half, room)))
    return [grid]


def _column(sections: list[_Section], width: int, room: int | None) -> list[RenderableType]:
    """Each list with its heading and a line before it; what they want beyond the room is cut."""
    wanted = [len(each.rows) + bool(each.more) if each.rows else 0 for each in sections]
    rows = wanted if room is None else shares(wanted, max(0, room - 2 * len(sections)))
    spaced = room is None or room >= 2 * len(sections)
    parts: list[RenderableType] = []
    for section, given in zip(sections, rows, strict=True):
        if spaced:
            parts.append(Text(""))
        parts.append(_table(section, given, width))
    return parts


def shares(wanted: Sequence[int], room: int) -> list[int]:
    """Lines for each list: all that it wants, or as even as can be."""
    given = [0] * len(wanted)
    while room > 0:
        short = [place for place, want in enumerate(wanted) if given[place] < want]
        if not short:
            break
        for place in short[:room]:
            given[place] += 1
        room -= len(short[:room])
    return given


def _table(section: _Section, given: int, width: int) -> RenderableType:
    if not section.rows:
        return Text.assemble((section.name, "bold"), f"  {section.none}", style="dim")
    total = len(section.rows) + section.more
    fits = total <= given
    shown = section.rows[:given] if fits else section.rows[: max(0, given - 1)]
    table = Table(
        box=None, padding=(0, 1, 0, 0), pad_edge=False, expand=True, header_style="dim", width=width
    )
    for place, heading in enumerate(section.headings):
        rest = heading.startswith("*")
        right = heading.startswith(">")
        name = heading.removeprefix("*").removeprefix(">")
        table.add_column(
            Text(name, "bold not dim" if place == 0 else "dim"),
            justify="right" if right else "left",
            no_wrap=True,
            overflow="ellipsis",
            ratio=1 if rest else None,
        )
    for row in shown:
        table.add_row(*row)
    if given and not fits:
        empty = [""] * (len(section.headings) - 1)
        table.add_row(Text(f"… {total - len(shown):,} more", "dim"), *empty)
    return table


def _joined(parts: Sequence[Text]) -> Text:
    return Text("  ").join(parts) if parts else Text("")


_SPANS: Final[Sequence[tuple[int, Callable[[int], str]]]] = (
    (60, lambda s: f"{s} s"),
    (3_600, lambda s: f"{s // 60}:{s % 60:02} min"),
    (48 * 3_600, lambda s: f"{s // 3_600}:{s // 60 % 60:02} h"),
)


def span(duration: timedelta) -> str:
    """A span of time as people say it: 12 s, 3:05 min, 2:10 h, 4 d."""
    seconds = max(0, int(duration.total_seconds()))
    for below, words in _SPANS:
        if seconds < below:
            return words(seconds)
    return f"{seconds // 86_400} d"
