"""A till printer for tests: reads ESC/POS commands by their manual and gives what is on paper.

It shares nothing with the program: other tables, other code.  An unknown command is an error.
"""

from __future__ import annotations

from dataclasses import dataclass, field

ESC, FS, GS, LF = 0x1B, 0x1C, 0x1D, 0x0A
PAGES = {16: "cp1252", 2: "cp850", 3: "cp860", 0: "cp437"}


@dataclass
class Paper:
    """What came out of the printer."""

    lines: list[str] = field(default_factory=list)
    large: list[str] = field(default_factory=list)
    """Lines in double width and height."""
    tall: list[str] = field(default_factory=list)
    centred: list[str] = field(default_factory=list)
    qr_codes: list[str] = field(default_factory=list)
    cuts: int = 0
    drawer_kicks: int = 0

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


class TillPrinter:
    """Eats bytes, prints `Paper`."""

    def __init__(self) -> None:
        self.paper = Paper()
        self.page = "cp437"
        self.chinese = True  # as many are set when they leave the factory
        self.size = 0
        self.line_size = 0
        self.align = 0
        self.line: list[str] = []
        self.qr_store = b""

    def take(self, content: bytes) -> Paper:
        at = 0
        while at < len(content):
            at = self.step(content, at)
        assert not self.line, "text without a line feed never comes out"
        return self.paper

    def step(self, content: bytes, at: int) -> int:
        byte = content[at]
        if byte == LF:
            self.feed()
            return at + 1
        if byte == ESC:
            return self.escape(content, at + 1)
        if byte == FS:
            self.chinese = {ord("&"): True, ord("."): False}[content[at + 1]]
            return at + 2
        if byte == GS:
            return self.group(content, at + 1)
        assert byte >= 0x20, f"control byte {byte:#x} at {at}"
        return self.letter(content, at)

    def letter(self, content: bytes, at: int) -> int:
        self.line_size = max(self.line_size, self.size)
        if not self.chinese or content[at] < 0x81:
            self.line.append(content[at : at + 1].decode(self.page))
            return at + 1
        length = 4 if 0x30 <= content[at + 1] <= 0x39 else 2
        self.line.append(content[at : at + length].decode("gb18030"))
        return at + length

    def escape(self, content: bytes, at: int) -> int:
        command = chr(content[at])
        if command == "@":
            self.page, self.size, self.align = "cp437", 0, 0
            return at + 1
        if command == "t":
            self.page = PAGES[content[at + 1]]
            return at + 2
        if command == "a":
            assert not self.line, "alignment counts at the beginning of a line only"
            self.align = content[at + 1]
            return at + 2
        if command == "E":
            assert content[at + 1] in (0, 1)
            return at + 2
        if command == "p":
            assert content[at + 1] in (0, 1)
            self.paper.drawer_kicks += 1
            return at + 4
        raise AssertionError(f"ESC {command!r}")

    def group(self, content: bytes, at: int) -> int:
        command = chr(content[at])
        if command == "!":
            self.size = content[at + 1]
            return at + 2
        if command == "V":
            assert content[at + 1] == 66
            self.paper.cuts += 1
            return at + 3
        if content[at : at + 2] == b"(k":
            length = content[at + 2] + 256 * content[at + 3]
            self.qr(content[at + 4 : at + 4 + length])
            return at + 4 + length
        raise AssertionError(f"GS {command!r}")

    def qr(self, parameters: bytes) -> None:
        assert parameters[0] == 49
        function, values = parameters[1], parameters[2:]
        if function == 80:
            assert values[0] == 48
            self.qr_store = values[1:]
        elif function == 81:
            self.paper.qr_codes.append(self.qr_store.decode())
        else:
            assert function in (65, 67, 69)

    def feed(self) -> None:
        text = "".join(self.line).rstrip()
        self.line.clear()
        self.paper.lines.append(text)
        if self.line_size == 0x11:
            self.paper.large.append(text)
        if self.line_size == 0x01:
            self.paper.tall.append(text)
        self.line_size = 0
        if self.align == 1:
            self.paper.centred.append(text)
