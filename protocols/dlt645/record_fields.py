"""Typed access to the fields of a record (see `records`)."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Final

from protocols.dlt645.controls import Edition
from protocols.dlt645.errors import InvalidFieldError, MissingFieldError, UnknownFieldError
from protocols.dlt645.fields import Password

Record = Mapping[str, Any]

_KNOWN_FIELDS: Final = frozenset(
    "hex protocol address control function from_meter abnormal follow_up length di name values "
    "error labels flags notes preamble_fe seq blocks since password_level password "
    "new_password_level new_password operator command parameter valid_until cipher_and_mac time "
    "baud feature output clear_di new_address amount_cents count mac1 mac2 client_number payload "
    "data id kind note".split()
)


class Fields:
    """Typed access to a record, with errors that name the field."""

    __slots__ = ("_record",)

    def __init__(self, record: Record) -> None:
        self._record = record
        for name in record:
            if name not in _KNOWN_FIELDS:
                close = get_close_matches(name, _KNOWN_FIELDS, n=1, cutoff=0.8)
                if close:
                    raise UnknownFieldError(f"Field {name!r} is unknown; is it {close[0]!r}?")

    def has(self, name: str) -> bool:
        return self._record.get(name) is not None

    def _get(self, name: str) -> Any:
        value = self._record.get(name)
        if value is None:
            raise MissingFieldError(f"Field {name!r} is missing.")
        return value

    def text(self, name: str) -> str:
        value = self._get(name)
        if not isinstance(value, str):
            raise InvalidFieldError(f"Field {name!r} must be text in quotes.")
        return value

    def number(self, name: str, default: int | None = None) -> int:
        if default is not None and not self.has(name):
            return default
        value = self._get(name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise InvalidFieldError(f"Field {name!r} must be a whole number.")
        return value

    def flag(self, name: str) -> bool:
        value = self._record.get(name)
        if value is not None and not isinstance(value, bool):
            raise InvalidFieldError(f"Field {name!r} must be true or false.")
        return bool(value)

    def bytes(self, name: str) -> bytes:
        try:
            return bytes.fromhex(self.text(name))
        except ValueError:
            raise InvalidFieldError(
                f"Field {name!r} must be pairs of hexadecimal digits."
            ) from None

    def code(self, name: str, digits: int) -> int:
        """A number in so many hexadecimal digits."""
        text = self.text(name)
        try:
            number = int(text, 16)
        except ValueError:
            number = -1
        if number < 0 or len(text) != digits:
            raise InvalidFieldError(f"Field {name!r} must be {digits} hexadecimal digits.")
        return number

    def edition(self) -> Edition | None:
        if not self.has("protocol"):
            return None
        try:
            return Edition(self.text("protocol"))
        except ValueError:
            raise InvalidFieldError('Field \'protocol\' must be "2007" or "1997".') from None

    def password(self, prefix: str = "") -> Password:
        return Password(self.number(f"{prefix}password_level", 0), self.text(f"{prefix}password"))

    def texts(self) -> list[str | None]:
        """The values' texts."""
        values = self._get("values")
        if not isinstance(values, list):
            raise InvalidFieldError("Field 'values' must be a list.")
        return [_value_text(value) for value in values]

    def names(self, name: str) -> list[str]:
        """A list of words."""
        words = self._get(name)
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise InvalidFieldError(f"Field {name!r} must be a list of texts.")
        return words


def _value_text(value: object) -> str | None:
    """One of ``values``: an object with "value", or the value itself."""
    if isinstance(value, dict):
        value = value.get("value")
    if value is None or isinstance(value, str):
        return value
    raise InvalidFieldError('A value is text in quotes, as in {"value": "220.1", "unit": "V"}.')
