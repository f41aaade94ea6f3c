"""A receipt as short messages (3GPP TS 23.038: 160 letters of the GSM alphabet, or 70 others).

Each part is a message of its own, numbered ``1/2``: it can be read when another is late or lost,
and no network may cut a token in the middle, as it may in a long message.  Letters that the GSM
alphabet has not lose their accent (ã → a); only where that is no help, as in Chinese, a message
goes out in 70 letters (UCS-2).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from vending.receipts.language import REFERENCE, Language, find_language
from vending.receipts.layout import Sentence, copy_of, lay_out, title_of, token_name
from vending.receipts.receipt import Receipt, ReceiptKind
from vending.sts import grouped

GSM_LETTERS_MAX: Final = 160
UCS2_LETTERS_MAX: Final = 70
_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED: Final = frozenset("^{}\\[~]|€")
"""Two letters each."""
_INSTEAD: Final = {
    "œ": "oe",
    "Œ": "OE",
    "\u2018": "'",
    "\u2019": "'",
    "\u201c": '"',
    "\u201d": '"',
    "\u2013": "-",
    "\u2014": "-",
}
_NAME_MAX: Final = 20
_TOKEN: Final = re.compile(r"[0-9]{4}(?: [0-9]{4}){4}")


@dataclass(frozen=True, slots=True)
class _Alphabet:
    letters_max: int
    count: Callable[[str], int]


def receipt_sms(receipt: Receipt, language: str = REFERENCE) -> tuple[str, ...]:
    """A receipt as short messages, each of which fits into one part.

    Raises:
        UnknownLanguageError, LanguageFileError: there are no texts in the language.
    """
    words = find_language(language)
    wordings = [_spelled(wording) for wording in _wordings(receipt, words)]
    for lines, alphabet in wordings:
        text = "\n".join(lines)
        if alphabet.count(text) <= alphabet.letters_max:
            return (text,)
    lines, alphabet = wordings[0]
    mark = words.say("mark.test_short") if receipt.test_marks else ""
    if alphabet is _GSM:
        mark = fold(mark) or ""
    return _numbered(lines, mark, alphabet)


def _spelled(lines: list[str]) -> tuple[list[str], _Alphabet]:
    """Lines in the GSM alphabet where that can be, and the alphabet that they take."""
    folded = [fold(line) for line in lines]
    plain = [line for line in folded if line is not None]
    return (plain, _GSM) if len(plain) == len(lines) else (lines, _UCS2)


def fold(text: str) -> str | None:
    """A text in the GSM alphabet, without the accents that it has not; None if it cannot be."""
    out = []
    for letter in unicodedata.normalize("NFC", text):
        plain = _INSTEAD.get(letter, letter)
        if not _is_gsm(plain):
            plain = "".join(
                part
                for part in unicodedata.normalize("NFKD", letter)
                if not unicodedata.combining(part)
            )
        if not _is_gsm(plain):
            return None
        out.append(plain)
    return "".join(out)


def gsm_letters(text: str) -> int:
    """How many of the 160 letters a text of the GSM alphabet takes."""
    return sum(2 if letter in _EXTENDED else 1 for letter in text)


def ucs2_letters(text: str) -> int:
    """How many of the 70 letters a text takes in UCS-2."""
    return len(text.encode("utf-16-le")) // 2


_GSM: Final = _Alphabet(GSM_LETTERS_MAX, gsm_letters)
_UCS2: Final = _Alphabet(UCS2_LETTERS_MAX, ucs2_letters)


def _is_gsm(text: str) -> bool:
    return all(letter in _BASIC or letter in _EXTENDED for letter in text)


def _wordings(receipt: Receipt, language: Language) -> Iterator[list[str]]:
    """The lines, from the fullest wording to the shortest; all with marks and tokens."""
    test = language.say("mark.test_short") if receipt.test_marks else ""
    copy = copy_of(receipt, language)
    seller = receipt.seller.utility
    meter = language.say("sms.meter", number=receipt.meter.number)
    tokens = [*_what(receipt, language), *_tokens(receipt, language)]
    core = [meter, *tokens, *_money(receipt, language)]
    number = language.say("sms.receipt", number=str(receipt.receipt_no))
    local = receipt.issued_at.astimezone(ZoneInfo(receipt.zone))
    dated = f"{number} {language.moment(local, 'short_date')}"
    messages = _messages(receipt, language)
    head = _joined(test, seller, copy)
    yield [head, *messages, *core, dated]
    if len(receipt.tokens) > 1:  # their order and what comes before them must be said
        return
    yield [head, *core, dated]
    yield [head, *core, number]
    yield [_joined(test, seller[:_NAME_MAX], copy), *core, number]
    leanest = [_joined(test, copy)] if test or copy else []
    yield [*leanest, *core]
    yield [*leanest, meter, *tokens]


def _what(receipt: Receipt, language: Language) -> Iterator[str]:
    """What was given out, where it is no plain purchase."""
    if receipt.kind is not ReceiptKind.CREDIT:
        yield title_of(receipt, language)


def _tokens(receipt: Receipt, language: Language) -> Iterator[str]:
    if len(receipt.tokens) == 1:
        if not receipt.units:  # the units say what a credit token is
            yield token_name(receipt, 0, language)
        yield language.say("sms.token", digits=grouped(receipt.token))
        return
    if receipt.tokens:
        yield language.say("sms.order")
    for number, token in enumerate(receipt.tokens, 1):
        units = language.units(token.units, receipt.meter.resource) if token.units else ""
        yield _joined(f"{number})", grouped(token.digits), units)


def _money(receipt: Receipt, language: Language) -> Iterator[str]:
    units = language.units(receipt.units, receipt.meter.resource) if receipt.units else ""
    if len(receipt.tokens) > 1:  # each has its own beside it
        units = ""
    payment = receipt.payment
    paid = (
        ""
        if payment is None
        else language.money(payment.tendered_minor, payment.minor_digits, payment.currency)
    )
    if units or paid:
        yield ", ".join(part for part in (units, paid) if part)


def _messages(receipt: Receipt, language: Language) -> list[str]:
    return [
        item.text
        for section in lay_out(receipt, language).sections
        for item in section.items
        if isinstance(item, Sentence)
    ]


def _joined(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _numbered(lines: list[str], mark: str, alphabet: _Alphabet) -> tuple[str, ...]:
    """Several messages; a mark stands in each, since each may be read alone."""
    room = alphabet.letters_max - alphabet.count(f"99/99 {mark} ")
    parts: list[str] = []
    for piece in _pieces(lines, alphabet, room):
        joined = f"{parts[-1]}\n{piece}" if parts else piece
        if parts and alphabet.count(joined) <= room:
            parts[-1] = joined
        else:
            parts.append(piece)
    return tuple(
        _joined(f"{number}/{len(parts)}", "" if part.startswith(mark) else mark, part)
        for number, part in enumerate(parts, 1)
    )


def _pieces(lines: list[str], alphabet: _Alphabet, room: int) -> Iterator[str]:
    """Lines that fit into a part; a token is never cut, whatever stands beside it."""
    for line in lines:
        token = _TOKEN.search(line)
        if alphabet.count(line) <= room or token is None:
            yield from _cut(line, alphabet, room)
            continue
        yield from _cut(line[: token.start()].strip(), alphabet, room)
        yield token[0]
        yield from _cut(line[token.end() :].strip(), alphabet, room)


def _cut(line: str, alphabet: _Alphabet, room: int) -> Iterator[str]:
    """A line in parts, cut at spaces where there are any."""
    while alphabet.count(line) > room:
        end = len(line)
        while alphabet.count(line[:end]) > room:
            end -= 1
        space = line.rfind(" ", 0, end + 1)
        end = space if space > 0 else end
        yield line[:end]
        line = line[end:].lstrip()
    if line:
        yield line
