"""CAMT.053: the bank-to-customer statement of ISO 20022, versions 001.02 to 001.13.

Read as a stream, one ``Ntry`` at a time, by local names: the versions differ in their namespace
and in few places (``Sts`` is text up to .07 and has a ``Cd`` from .08 on; from .08 on a party is
under ``Pty``), and all of them are looked at.  A batch booking with details becomes one line for
each payment in it, when their amounts add up to the booking; else it stays one line.  Only booked
entries (``BOOK``) count.

A document type, and with it every entity, is refused: the schema has none, and a few lines of
them can fill a machine's memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import BinaryIO, Final
from xml.parsers import expat

from vending.cash.bank.line import BadLine, Line, parse_minor, tidy
from vending.cash.faults import BankFileError

_CHUNK: Final = 64 * 1024
_DEPTH_MAX: Final = 40
_TEXT_MAX: Final = 64 * 1024
_NODES_MAX: Final = 2_000_000
"""In one entry: a batch booking of tens of thousands of payments."""
_NO_REFERENCE: Final = ("", "NOTPROVIDED", "NONREF")


@dataclass(slots=True)
class _Node:
    """An element: its local name, its text, its children."""

    name: str
    attributes: dict[str, str]
    text: list[str] = field(default_factory=list)
    children: list[_Node] = field(default_factory=list)

    def find(self, path: str) -> _Node | None:
        """The first element at a path of local names."""
        found: _Node | None = self
        for name in path.split("/"):
            if found is None:
                return None
            found = next((child for child in found.children if child.name == name), None)
        return found

    def all(self, name: str) -> list[_Node]:
        """The children of a name."""
        return [child for child in self.children if child.name == name]

    def value(self, *paths: str) -> str:
        """The text at the first path that has some."""
        for path in paths:
            found = self.find(path)
            text = "".join(found.text).strip() if found is not None else ""
            if text:
                return text
        return ""


def read_camt(file: BinaryIO, digits_of: dict[str, int]) -> Iterator[Line | BadLine]:
    """The booked entries of a statement, as they come.

    Args:
        file: opened for bytes.
        digits_of: the currencies that are taken, with the digits of their minor units.

    Raises:
        BankFileError: not XML, not CAMT.053, with a document type, or beyond all bounds.
    """
    reader = _Reader(digits_of)
    while chunk := file.read(_CHUNK):
        reader.feed(chunk)
        yield from reader.taken()
    reader.feed(b"", last=True)
    yield from reader.taken()
    if not reader.is_statement:
        raise BankFileError("This is not a CAMT.053 statement: there is no BkToCstmrStmt in it.")


class _Reader:
    """Builds the parts that matter and lets go of the rest."""

    def __init__(self, digits_of: dict[str, int]) -> None:
        self._digits_of = digits_of
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._path: list[str] = []
        self._kept: list[_Node] = []
        self._nodes = 0
        self._account = ""
        self._entry = 0
        self._lines: list[Line | BadLine] = []
        self.is_statement = False

    def feed(self, chunk: bytes, *, last: bool = False) -> None:
        """Take the next bytes."""
        try:
            self._parser.Parse(chunk, last)
        except expat.ExpatError as fault:
            raise BankFileError(
                f"The file is not sound XML (line {fault.lineno}): it is cut off or damaged. "
                "Fetch it from the bank again."
            ) from None

    def taken(self) -> list[Line | BadLine]:
        """What was complete so far; given once."""
        lines, self._lines = self._lines, []
        return lines

    def _doctype(self, *_: object) -> None:
        raise BankFileError("The file has a document type; a bank statement has none. Refused.")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        local = name.rpartition(" ")[2]
        self._path.append(local)
        if len(self._path) > _DEPTH_MAX:
            raise BankFileError("The file is nested deeper than a bank statement is.")
        if local == "BkToCstmrStmt":
            self.is_statement = True
        if local == "Stmt":
            self._account = ""
        if self._kept or (self.is_statement and local in ("Ntry", "Acct")):
            self._nodes += 1
            if self._nodes > _NODES_MAX:
                raise BankFileError("One entry of the file is larger than any batch booking is.")
            node = _Node(local, attributes)
            if self._kept:
                self._kept[-1].children.append(node)
            self._kept.append(node)

    def _text(self, text: str) -> None:
        if self._kept:
            node = self._kept[-1]
            node.text.append(text)
            if len(text) > _TEXT_MAX or len(node.text) > _TEXT_MAX:
                raise BankFileError("A text of the file is longer than any bank's.")

    def _end(self, _name: str) -> None:
        self._path.pop()
        if not self._kept:
            return
        node = self._kept.pop()
        if self._kept:
            return
        self._nodes = 0
        if node.name == "Acct":
            self._account = _account(node)
            return
        self._entry += 1
        self._take(node)

    def _take(self, entry: _Node) -> None:
        where = f"entry {self._entry}"
        try:
            self._lines.extend(_lines_of(entry, self._account, self._digits_of, where))
        except BankFileError as fault:
            self._lines.append(BadLine(where, str(fault)))


def _lines_of(
    entry: _Node, account: str, digits_of: dict[str, int], where: str
) -> Iterator[Line | BadLine]:
    status = entry.value("Sts/Cd", "Sts/Prtry", "Sts")
    if status != "BOOK":
        yield BadLine(where, f"It is not booked yet (status {status[:20] or 'missing'}).")
        return
    if not account:
        raise BankFileError("Its statement does not say of which account it is.")
    booked_on = _day(entry.value("BookgDt/Dt", "BookgDt/DtTm", "ValDt/Dt", "ValDt/DtTm"))
    currency, amount_minor = _amount(entry, "Amt", digits_of)
    sign = _sign(entry)
    reference = _reference(entry.value("AcctSvcrRef"))
    whole = Line(
        account=account,
        booked_on=booked_on,
        amount_minor=sign * amount_minor,
        currency=currency,
        reference=reference,
        text=tidy(entry.value("AddtlNtryInf")),
    )
    details = [each for part in entry.all("NtryDtls") for each in part.all("TxDtls")]
    if len(details) == 1:
        yield _with_details(whole, details[0], whole.amount_minor, place="")
        return
    amounts = [_detail_amount(each, sign, digits_of, currency) for each in details]
    known = [amount for amount in amounts if amount is not None]
    if not details or len(known) < len(details) or sum(known) != whole.amount_minor:
        yield whole
        return
    for number, (each, amount) in enumerate(zip(details, known, strict=True), 1):
        yield _with_details(whole, each, amount, place=str(number))


def _with_details(whole: Line, details: _Node, amount_minor: int, *, place: str) -> Line:
    sender = "Dbtr" if amount_minor > 0 else "Cdtr"
    texts = ["".join(part.text) for info in details.all("RmtInf") for part in info.all("Ustrd")] + [
        structured.value("CdtrRefInf/Ref")
        for info in details.all("RmtInf")
        for structured in info.all("Strd")
    ]
    end_to_end = _reference(details.value("Refs/EndToEndId"))
    texts = [*texts, end_to_end] if end_to_end else texts
    return Line(
        account=whole.account,
        booked_on=whole.booked_on,
        amount_minor=amount_minor,
        currency=whole.currency,
        reference=whole.reference or _reference(details.value("Refs/AcctSvcrRef")),
        place=place,
        counterparty=tidy(details.value(f"RltdPties/{sender}/Nm", f"RltdPties/{sender}/Pty/Nm")),
        counterparty_account=_plain(
            details.value(f"RltdPties/{sender}Acct/Id/IBAN", f"RltdPties/{sender}Acct/Id/Othr/Id")
        ),
        text=tidy(" ".join([*texts, whole.text])),
    )


def _detail_amount(
    details: _Node, sign: int, digits_of: dict[str, int], currency: str
) -> int | None:
    for path in ("Amt", "AmtDtls/TxAmt/Amt", "AmtDtls/InstdAmt/Amt"):
        if details.find(path) is not None:
            try:
                found, amount = _amount(details, path, digits_of)
            except BankFileError:
                return None
            return (
                (_sign(details) if details.value("CdtDbtInd") else sign) * amount
                if (found == currency)
                else None
            )
    return None


def _amount(node: _Node, path: str, digits_of: dict[str, int]) -> tuple[str, int]:
    found = node.find(path)
    currency = found.attributes.get("Ccy", "") if found is not None else ""
    if currency not in digits_of:
        raise BankFileError(
            f"Its currency is {currency[:10] or 'missing'}; this house keeps its books in "
            f"{', '.join(digits_of)}."
        )
    amount = parse_minor(node.value(path), digits_of[currency])
    if amount <= 0:
        raise BankFileError("Its amount is not above zero.")
    return currency, amount


def _sign(node: _Node) -> int:
    indicator = node.value("CdtDbtInd")
    if indicator not in ("CRDT", "DBIT"):
        raise BankFileError("It says neither CRDT nor DBIT.")
    return 1 if indicator == "CRDT" else -1


def _account(node: _Node) -> str:
    return _plain(node.value("Id/IBAN", "Id/Othr/Id", "Id/PrtryAcct/Id", "Id/BBAN"))


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        raise BankFileError(f"{text[:20]!r} is not the day of a booking.") from None


def _reference(text: str) -> str:
    return "" if text in _NO_REFERENCE else tidy(text)[:140]


def _plain(account: str) -> str:
    return "".join(account.split())[:64]
