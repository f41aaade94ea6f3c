"""The doctor: what is wrong with a line, found out by listening and by asking harmless questions.

=================  =========================================================================
`examination`      `examine`: all steps in order; begin here
`plan`             which speeds and characters are tried, and how long each step may last
`tap`              a line opened with one setting: send, and hear everything that comes
`hearing`          what the bytes were: echo, answers, another master's requests, noise
`search`           meters that answer at once, told apart by shortened addresses
`findings`         `Diagnosis`: what was found, and what to do, in words
=================  =========================================================================

It only ever asks for an address or for an energy register; nothing in a meter changes.
"""

from protocols.doctor.examination import examine
from protocols.doctor.findings import (
    Advice,
    Diagnosis,
    FoundMeter,
    OtherMaster,
    Progress,
    SearchResult,
    Setting,
    Step,
    Verdict,
)
from protocols.doctor.plan import Patience

__all__ = [
    "Advice",
    "Diagnosis",
    "FoundMeter",
    "OtherMaster",
    "Patience",
    "Progress",
    "SearchResult",
    "Setting",
    "Step",
    "Verdict",
    "examine",
]
