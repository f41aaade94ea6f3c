"""One frame shown as a record (see `records`)."""

from __future__ import annotations

from typing import Any, Final

from protocols.dlt645 import catalogue, security
from protocols.dlt645.answers import Refused, di_bytes
from protocols.dlt645.codec import Frame
from protocols.dlt645.controls import (
    Edition,
    Function,
    Function1997,
    Function2007,
)
from protocols.dlt645.errors import LayoutError
from protocols.dlt645.fields import Password
from protocols.dlt645.matching import parse_request
from protocols.dlt645.requests import (
    BroadcastTime,
    ChangeBaud,
    ChangePassword,
    ClearDemand,
    ClearEvents,
    ClearMeter,
    EncryptedRelayControl,
    Freeze,
    ReadAddress,
    ReadData,
    ReadFollowing,
    RelayControl,
    Request,
    Security,
    SetMultiFunctionOutput,
    WriteAddress,
    WriteData,
)
from protocols.dlt645.requests_1997 import (
    BroadcastTime1997,
    ChangeBaud1997,
    ChangePassword1997,
    ClearDemand1997,
    ReadData1997,
    ReadFollowing1997,
    RereadData1997,
    WriteAddress1997,
    WriteData1997,
)
from protocols.dlt645.status_words import flag_names
from protocols.dlt645.values import RAW, Reading, parse_element

Answer = dict[str, Any]

_CLOCK_ELEMENT: Final = parse_element("YYMMDDhhmmss")[0]
_READS: Final = (
    Function2007.READ_DATA,
    Function2007.READ_FOLLOWING,
    Function1997.READ_DATA,
    Function1997.READ_FOLLOWING,
    Function1997.REREAD_DATA,
)


def is_read(function: Function | None) -> bool:
    """Whether the function reads an item, or a part of one."""
    # By identity: 03 is a number of both editions, and means two things.
    return any(function is read for read in _READS)


class View:
    """One frame being shown: fills the answer and the notes."""

    __slots__ = ("_answer", "_edition", "_frame", "_function", "_notes")

    def __init__(
        self,
        frame: Frame,
        edition: Edition,
        function: Function | None,
        answer: Answer,
        notes: list[str],
    ) -> None:
        self._frame = frame
        self._edition = edition
        self._function = function
        self._answer = answer
        self._notes = notes

    def show(self) -> None:
        try:
            if not self._frame.from_meter:
                self._request(parse_request(self._frame, self._edition))
            elif self._frame.abnormal:
                refused = Refused.parse(self._function, self._frame.data)
                self._answer["error"] = refused.names
            else:
                self._normal_answer()
        except LayoutError as fault:
            self._notes.append(str(fault))
            self._by_layout_alone()

    def _by_layout_alone(self) -> None:
        """What can be said of a frame whose DATA has not its layout: a time that is none."""
        broadcast = self._function == Function2007.BROADCAST_TIME
        if broadcast and len(self._frame.data) == _CLOCK_ELEMENT.length:
            self._values((_CLOCK_ELEMENT.decode(self._frame.data),))

    def _request(self, request: Request) -> None:
        answer = self._answer
        match request:
            case ReadData(di=di, blocks=blocks, since=since):
                self._item(di)
                if blocks is not None:
                    answer["blocks"] = blocks
                if since is not None:
                    answer["since"] = str(since)
            case ReadFollowing(di=di, seq=seq):
                self._item(di)
                answer["seq"] = seq
            case ReadData1997(di=di) | ReadFollowing1997(di=di) | RereadData1997(di=di):
                self._item(di)
            case WriteData(di=di, password=password, operator=operator, data=data):
                self._item(di)
                self._password(password)
                answer["operator"] = operator
                self._data_values(di, data)
            case WriteData1997(di=di, password=password, data=data):
                self._item(di)
                self._password(password)
                self._data_values(di, data)
            case WriteAddress(address=address) | WriteAddress1997(address=address):
                answer["values"] = [{"value": address, "unit": ""}]
            case BroadcastTime() | BroadcastTime1997():
                self._values((_CLOCK_ELEMENT.decode(self._frame.data),))
            case Freeze(time=time):
                answer["time"] = str(time)
            case ChangeBaud(speed=speed):
                answer["baud"] = speed.baud
            case ChangeBaud1997(feature=feature):
                answer["feature"] = f"{feature:02X}"
            case ChangePassword(di=di, old=old, new=new):
                self._item(di)
                self._password(old)
                self._password(new, "new_")
            case ChangePassword1997(old=old, new=new):
                self._password(old)
                self._password(new, "new_")
            case _:
                self._command(request)

    def _command(self, request: Request) -> None:
        answer = self._answer
        match request:
            case (
                ClearDemand(password=password, operator=operator)
                | ClearMeter(password=password, operator=operator)
            ):
                self._password(password)
                answer["operator"] = operator
            case ClearDemand1997(password=password):
                self._password(password)
            case ClearEvents(password=password, operator=operator, di=di):
                self._password(password)
                answer["operator"] = operator
                answer["clear_di"] = f"{di:08X}"
            case RelayControl():
                self._password(request.password)
                answer["operator"] = request.operator
                answer["command"] = words(request.command.name)
                answer["parameter"] = request.parameter
                answer["valid_until"] = str(request.valid_until)
            case EncryptedRelayControl(operator=operator, cipher_and_mac=block):
                answer["operator"] = operator
                answer["cipher_and_mac"] = block.hex()
            case SetMultiFunctionOutput(output=output):
                answer["output"] = words(output.name)
            case Security(di=di, operator=operator, data=data):
                self._item(di)
                answer["operator"] = operator
                self._security(di, data)

    def _security(self, di: int, data: bytes) -> None:
        purchase = di in (security.OPEN_ACCOUNT, security.RECHARGE)
        if purchase and len(data) == security.Purchase.length:
            order = security.Purchase.parse(data)
            self._answer |= {
                "amount_cents": order.amount_cents,
                "count": order.count,
                "mac1": order.mac1.hex(),
                "client_number": order.client_number,
                "mac2": order.mac2.hex(),
            }
            return
        vendor = di in (security.RECHARGE, security.VENDOR_REFUND)
        if vendor and len(data) == security.VendorOrder.length:
            amount = security.VendorOrder.parse(data).amount_cents
            self._notes.append(f"one vendor's order, not the standard's: {amount} cents")
        if data:
            self._answer["payload"] = data.hex()

    def _normal_answer(self) -> None:
        function, data, answer = self._function, self._frame.data, self._answer
        if is_read(function):
            self._read_answer()
        elif function is Function2007.READ_ADDRESS:
            request = ReadAddress()
            request.parse_answer(data, more=False)
            answer["values"] = [{"value": data[::-1].hex().upper(), "unit": ""}]
        elif function is Function2007.SECURITY:
            di, rest = self._split_di()
            self._item(di)
            if rest:
                answer["payload"] = rest.hex()
        elif function is Function2007.CHANGE_BAUD and len(data) == 1:
            answer["baud"] = ChangeBaud.parse(data).speed.baud
        elif function is Function1997.CHANGE_BAUD and len(data) == 1:
            answer["feature"] = data.hex().upper()
        elif function is Function2007.CHANGE_PASSWORD or function is Function1997.CHANGE_PASSWORD:
            if len(data) != 4:
                raise LayoutError("The answer repeats a password of 4 bytes.")
            self._password(Password.from_wire(data), "new_")
        elif function is Function2007.MULTI_FUNCTION_OUTPUT:
            answer["output"] = words(SetMultiFunctionOutput.parse(data).output.name)
        elif data:
            raise LayoutError("This answer has no DATA by the standard.")

    def _read_answer(self) -> None:
        di, rest = self._split_di()
        self._item(di)
        following = self._function is Function2007.READ_FOLLOWING
        if following:
            if not rest:
                raise LayoutError("A following part must end with its SEQ.")
            self._answer["seq"] = rest[-1]
            rest = rest[:-1]
        part = following or self._function is Function1997.READ_FOLLOWING
        if part or self._frame.follow_up:
            self._notes.append("a part of a long answer: it has no values of its own")
            self._answer["values"] = [{"value": f"{RAW} {rest.hex()}", "unit": ""}]
            return
        self._data_values(di, rest)

    def _split_di(self) -> tuple[int, bytes]:
        length = di_bytes(self._edition)
        if len(self._frame.data) < length:
            raise LayoutError("The answer is too short for an identifier.")
        return int.from_bytes(self._frame.data[:length], "little"), self._frame.data[length:]

    def _item(self, di: int) -> None:
        item = catalogue.find(di, self._edition)
        self._answer["di"] = f"{di:0{2 * di_bytes(self._edition)}X}"
        self._answer["name"] = item.name_en if item else None

    def _data_values(self, di: int, data: bytes) -> None:
        decoded = catalogue.decode(di, data, self._edition)
        self._values(decoded.readings)
        self._notes += decoded.notes
        if self._edition is Edition.Y2007 and len(decoded.readings) == 1:
            word = decoded.readings[0].value
            flags = flag_names(di, word) if isinstance(word, int) else []
            if flags:
                self._answer["flags"] = flags

    def _values(self, readings: tuple[Reading, ...]) -> None:
        self._answer["values"] = [
            {"value": reading.text, "unit": reading.unit} for reading in readings
        ]
        if any(reading.label for reading in readings):
            self._answer["labels"] = [reading.label for reading in readings]

    def _password(self, password: Password, prefix: str = "") -> None:
        self._answer[f"{prefix}password_level"] = password.level
        self._answer[f"{prefix}password"] = password.digits


def words(name: str) -> str:
    """An enum's name in words."""
    return name.lower().replace("_", " ")
