"""What is published, and where.  Pure: values in, topics and payloads out.

=================================  ==========  ===============================================
topic, after the prefix            retained    payload
=================================  ==========  ===============================================
``meter/NUMBER/QUANTITY``          yes         ``{"value": "1234.56", "unit": "kWh", "at": ...}``
``alarm/ID``                       while open  the alarm as it is; nothing once it is closed
``alarms``                         no          one line of an alarm's history, ``id`` once each
``worker/NAME/availability``       yes         ``online``, ``offline`` (also by last will)
=================================  ==========  ===============================================

A topic for each quantity, not one document for each meter: rounds read different quantities at
different times, and a document that is retained would forget what the last round did not read.
Values are text, decimals as the meter shows them: no value ever passes through a float here.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from headend.talk.amounts import in_words
from headend.talk.quantities import is_energy
from headend.values import Quality, Reading, Source

ONLINE: Final = "online"
OFFLINE: Final = "offline"
_SHOWN: Final = (Source.REGISTER, Source.MANUAL)
_NOT_PLAIN: Final = re.compile(r"[^0-9A-Za-z_-]")
_CLASSES: Final = {
    "kWh": "energy",
    "kvarh": "reactive_energy",
    "W": "power",
    "var": "reactive_power",
    "VA": "apparent_power",
    "V": "voltage",
    "A": "current",
    "Hz": "frequency",
    "°C": "temperature",
}
"""Unit → Home Assistant's device class."""
_INCREASING: Final = re.compile(
    r"(reactive_|apparent_)?energy_(import|export)_.*|credit_accepted_total|tokens_accepted"
)


@dataclass(frozen=True, slots=True)
class Message:
    """One publication, at quality of service 1."""

    topic: str
    payload: str
    retain: bool = True
    of: tuple[str, str] | None = None
    """Meter and quantity, where it is a meter's state."""


def is_published(reading: Reading) -> bool:
    """Whether it is a meter's state: freezes and profiles are history, and stay in the store."""
    return reading.source in _SHOWN and reading.quality is not Quality.MISSING


def availability_topic(prefix: str, worker: str) -> str:
    """Where a worker says that it is there."""
    return f"{prefix}/worker/{plain(worker)}/availability"


def state_topic(prefix: str, number: str, quantity: str) -> str:
    """Where the last value of a quantity is kept."""
    return f"{prefix}/meter/{plain(number)}/{quantity}"


def state(prefix: str, number: str, reading: Reading) -> Message:
    """A reading, as its meter's state."""
    value, unit = in_words(reading.value, reading.quantity)
    document = {
        "value": value,
        "unit": unit,
        "at": _iso(reading.at),
        "quality": reading.quality.name.lower(),
        "source": reading.source.value,
    }
    topic = state_topic(prefix, number, reading.quantity)
    return Message(topic, _json(document), of=(number, reading.quantity))


def discovery(base: str, prefix: str, worker: str, number: str, quantity: str) -> Message:
    """What Home Assistant is told of a quantity, so that it shows it by itself.

    Args:
        base: Home Assistant's discovery prefix.
        prefix: ours.
        worker: who reads it.
        number: the meter's.
        quantity: one of the vocabulary.
    """
    _, unit = in_words(0, quantity)
    kind = "power_factor" if quantity.startswith("power_factor") else _CLASSES.get(unit)
    if _INCREASING.fullmatch(quantity):
        of_states: str | None = "total_increasing"
    elif is_energy(quantity):
        of_states = "total"
    else:
        of_states = "measurement" if kind is not None else None
    topic = state_topic(prefix, number, quantity)
    unique = f"{plain(prefix)}_{plain(number)}_{quantity}"
    document = {
        "name": quantity.replace("_", " ").capitalize(),
        "unique_id": unique,
        "state_topic": topic,
        "value_template": "{{ value_json.value }}",
        "json_attributes_topic": topic,
        "unit_of_measurement": unit or None,
        "device_class": kind,
        "state_class": of_states,
        "availability_topic": availability_topic(prefix, worker),
        "device": {
            "identifiers": [f"{plain(prefix)}_{plain(number)}"],
            "name": f"Meter {number}",
            "serial_number": number,
        },
        "origin": {"name": "meterhouse"},
    }
    given = {name: value for name, value in document.items() if value is not None}
    return Message(f"{base}/sensor/{unique}/config", _json(given))


def alarm_messages(prefix: str, entry: Any) -> list[Message]:
    """A line of an alarm's history, and how the alarm is now (a row of `alarms.unpublished`)."""
    line = {
        "id": entry.entry_id,
        "alarm": entry.alarm_id,
        "act": entry.act,
        "kind": entry.kind,
        "about": entry.about,
        "severity": entry.severity,
        "words": entry.words,
        "actor": entry.actor,
        "at": _iso(entry.at),
    }
    now = {
        "alarm": entry.alarm_id,
        "kind": entry.kind,
        "about": entry.about,
        "severity": entry.severity_now,
        "words": entry.words_now,
        "state": "open" if entry.acknowledged_at is None else "acknowledged",
        "count": entry.count,
        "since": _iso(entry.first_at),
    }
    return [
        Message(f"{prefix}/alarms", _json(line), retain=False),
        Message(f"{prefix}/alarm/{entry.alarm_id}", "" if entry.closed_at else _json(now)),
    ]


def plain(name: str) -> str:
    """A name as one level of a topic, for Home Assistant, too."""
    return _NOT_PLAIN.sub("_", name)


def _iso(moment: Any) -> str:
    text: str = moment.isoformat()
    return text.replace("+00:00", "Z")


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))
