"""How a meter takes the sections of a key change (IEC 62055-41, clauses 6.5.2 and 7.3).

* Sections come in any order; the meter answers 1stKCT .. 4thKCT, after the section's kind,
  while some are missing, and switches with the last.
* An incomplete set is forgotten `Nameplate.key_change_timeout_s` after its last section.
* A section of a kind that is there already, but different, begins another set: parts of two
  sets would make a key that nobody knows.  The same section again changes nothing.
* Nothing goes (back) to an initialisation key: KeyTypeError.
* Sections that contradict each other, a supply group code that is no 6-digit number, and
  roll-over with the key unchanged (which would open every used token anew) are FormatErrors,
  and the set is forgotten.
* Sections that this meter's key length has no use for are FunctionErrors.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from simulators.meter_state import MeterKey, PendingKeyChange
from simulators.nameplate import Nameplate
from simulators.results import Outcome
from vending.sts import (
    KeyChange,
    KeyChangeError,
    KeySection,
    KeyType,
    Set1stSectionDecoderKey,
    Set3rdSectionDecoderKey,
    Set4thSectionDecoderKey,
    assemble,
)

_WAITING: Final = {
    3: Outcome.FIRST_KCT,
    4: Outcome.SECOND_KCT,
    8: Outcome.THIRD_KCT,
    9: Outcome.FOURTH_KCT,
}
"""Subclass of the section → the answer while others are missing."""


@dataclass(frozen=True, slots=True)
class SectionEntry:
    """What came of a section."""

    outcome: Outcome
    pending: PendingKeyChange
    change: KeyChange | None = None
    """Complete and to be carried out, with `Outcome.ACCEPT`."""


def enter_section(
    section: KeySection,
    pending: PendingKeyChange,
    key: MeterKey,
    nameplate: Nameplate,
    now: datetime,
) -> SectionEntry:
    """Take one section."""
    objection = _objection_to(section, nameplate)
    if objection is not None:
        return SectionEntry(objection, pending)
    kept = _joined(pending.sections, section)
    if _contradict(kept, nameplate):
        return SectionEntry(Outcome.FORMAT_ERROR, PendingKeyChange())
    try:
        change = assemble({s.subclass: s for s in kept}, key.decoder_key.bits)
    except KeyChangeError:
        return SectionEntry(Outcome.FORMAT_ERROR, PendingKeyChange())
    if change is None:
        timeout = timedelta(seconds=nameplate.key_change_timeout_s)
        return SectionEntry(_WAITING[section.subclass], PendingKeyChange(kept, now + timeout))
    if change.rollover and change.new_key == key.decoder_key:
        return SectionEntry(Outcome.FORMAT_ERROR, PendingKeyChange())
    return SectionEntry(Outcome.ACCEPT, PendingKeyChange(), change)


def _objection_to(section: KeySection, nameplate: Nameplate) -> Outcome | None:
    has_short_key = nameplate.algorithm.key_bits == 64
    no_third = has_short_key and not nameplate.takes_three_token_set
    if isinstance(section, Set1stSectionDecoderKey):
        if section.key_type is KeyType.INITIALISATION:
            return Outcome.KEY_TYPE_ERROR
        if section.three_tokens and not has_short_key:
            return Outcome.FORMAT_ERROR
        return Outcome.FUNCTION_ERROR if section.three_tokens and no_third else None
    if isinstance(section, Set3rdSectionDecoderKey) and no_third:
        return Outcome.FUNCTION_ERROR
    if isinstance(section, Set4thSectionDecoderKey) and has_short_key:
        return Outcome.FUNCTION_ERROR
    return None


def _joined(kept: tuple[KeySection, ...], section: KeySection) -> tuple[KeySection, ...]:
    if section in kept:
        return kept
    if any(other.subclass == section.subclass for other in kept):
        return (section,)
    return (*kept, section)


def _contradict(sections: tuple[KeySection, ...], nameplate: Nameplate) -> bool:
    """Whether a 64-bit set holds a third section that its first one does not announce."""
    if nameplate.algorithm.key_bits != 64:
        return False
    firsts = [s for s in sections if isinstance(s, Set1stSectionDecoderKey)]
    thirds = [s for s in sections if isinstance(s, Set3rdSectionDecoderKey)]
    return bool(firsts and thirds) and not firsts[0].three_tokens
