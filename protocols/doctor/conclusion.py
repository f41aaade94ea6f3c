"""What to do about a diagnosis, in plain words for who stands before the meter."""

from __future__ import annotations

from collections.abc import Iterator

from protocols.dlt645.controls import Edition
from protocols.doctor.findings import Advice, Diagnosis


def conclude(found: Diagnosis, *, behind_network: bool) -> tuple[Advice, ...]:
    """The advice, the most urgent first; never empty."""
    return tuple(_advice(found, behind_network=behind_network))


def _advice(found: Diagnosis, *, behind_network: bool) -> Iterator[Advice]:
    if found.other_masters or found.overheard:
        yield _other_master(found)
    if found.found:
        yield from _with_meters(found)
    elif found.garbled:
        yield from _garbled(found, behind_network=behind_network)
    else:
        yield from _silence(found, behind_network=behind_network)
    if found.search is not None and found.search.doubled:
        numbers = ", ".join(found.search.doubled)
        yield Advice(
            "doubled_number",
            f"Several meters have the number {numbers}: disconnect one and write it another.",
        )
    if found.stray_bytes and not (found.other_masters or found.overheard):
        yield Advice(
            "stray_bytes",
            f"{found.stray_bytes} bytes came while nobody was asked. Without a meter's answer near "
            "them they are the line's own: terminate the bus at both ends, bias it, check the "
            "shield; or other traffic passes at another speed.",
        )
    if found.out_of_time:
        yield Advice("out_of_time", "The time was over before everything was tried: --seconds.")


def _other_master(found: Diagnosis) -> Advice:
    asked = ", ".join(
        f"{each.function} to {each.address} ({each.times}x)" for each in found.other_masters[:3]
    )
    seen = asked or f"answers of {', '.join(found.overheard[:3])}"
    return Advice(
        "second_master",
        f"Somebody else works on this line ({seen}). Two masters disturb each other: take the "
        "other one off (a concentrator, a modem, a second program) before you order anything.",
    )


def _with_meters(found: Diagnosis) -> Iterator[Advice]:
    assert found.setting is not None
    if found.setting.line is not None and not found.is_own_setting:
        line = found.setting.line
        yield Advice(
            "other_setting",
            f"Set the link to {line}: ?baud={line.baud}&parity={line.parity.value} in its URL.",
        )
    if not found.several:
        yield Advice("ready", f"Meter {found.meters[0].address} can be read.")
        return
    if found.search is None or not found.search.is_complete:
        yield Advice(
            "several_meters",
            f"Several meters hang on this line; {len(found.meters)} are known. Read the other "
            "numbers from their name plates"
            + (", or search longer: --seconds." if found.search is not None else "."),
        )
    else:
        yield Advice(
            "several_meters",
            f"{len(found.meters)} meters hang on this line; each is asked by its own number, "
            "never by the wildcard.",
        )


def _garbled(found: Diagnosis, *, behind_network: bool) -> Iterator[Advice]:
    setting = found.garbled[0]
    yield Advice(
        "garbled",
        f"Something answers by {setting}, but no frame is whole. Several meters may answer at "
        "once and cannot be told apart"
        + (" (1997 has no way to search)" if setting.edition is Edition.Y1997 else "")
        + ": disconnect all but one, or ask one by its number. With a single meter: check "
        + ("the speed and parity that the gateway is set to, " if behind_network else "")
        + "the polarity and the length of the bus.",
    )


def _silence(found: Diagnosis, *, behind_network: bool) -> Iterator[Advice]:
    if behind_network:
        yield Advice(
            "gateway_setting",
            "The connection stands, but no meter answers through it. The serial port's speed and "
            "parity are set in the gateway itself and cannot be changed from here: try 2400 8E1, "
            "then 9600 8E1 and 1200 8E1, and transparent (raw TCP) mode.",
        )
    if found.echo:
        yield Advice(
            "echo_only",
            "The converter sends (its echo is heard), but no meter answers: swap A and B, check "
            "that the meter has supply and that this is its RS-485 port.",
        )
    else:
        yield Advice(
            "silence",
            "Swap A and B; check that the meter has supply, that this is its RS-485 port, and "
            "that the converter has power and switches its direction (rs485=on in the URL for "
            "ports whose driver does it).",
        )
    yield Advice(
        "other_protocol",
        "Meters of another protocol stay silent too: try Modbus (meterhouse read "
        "modbus+serial://… with --profile).",
    )
