"""Which request a frame is, and which request an answer belongs to (spec sections 2 and 6).

A line brings late answers, the own echo and other meters' frames.  An answer counts only if

1. it comes from a meter (D7; the own echo has it clear),
2. its address is one that the asked address covers, and a full one,
3. its function is the one that was asked,
4. its identifier is the one that was asked (not in refusals, which have none),
5. its SEQ is the one that was asked, where there is one.

Everything else is skipped; only a frame that is the answer and has not its layout is a fault.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from protocols.dlt645 import requests as r7
from protocols.dlt645 import requests_1997 as r97
from protocols.dlt645.addresses import (
    ANY_METER,
    BROADCAST,
    Address,
    answers,
    expects_answer,
    parse_address,
)
from protocols.dlt645.answers import Answer, Refused
from protocols.dlt645.codec import Frame
from protocols.dlt645.controls import Edition, Function, answer_control, function_of
from protocols.dlt645.errors import AddressError, LayoutError, NotInEditionError
from protocols.dlt645.request import Request

_REQUESTS: Final[Mapping[Edition, Mapping[Function, type[Request]]]] = {
    Edition.Y2007: {
        request.function: request
        for request in (
            r7.Security,
            r7.BroadcastTime,
            r7.ReadData,
            r7.ReadFollowing,
            r7.ReadAddress,
            r7.WriteData,
            r7.WriteAddress,
            r7.Freeze,
            r7.ChangeBaud,
            r7.ChangePassword,
            r7.ClearDemand,
            r7.ClearMeter,
            r7.ClearEvents,
            r7.RelayControl,
            r7.SetMultiFunctionOutput,
        )
    },
    Edition.Y1997: {
        request.function: request
        for request in (
            r97.ReadData1997,
            r97.ReadFollowing1997,
            r97.RereadData1997,
            r97.WriteData1997,
            r97.BroadcastTime1997,
            r97.WriteAddress1997,
            r97.ChangeBaud1997,
            r97.ChangePassword1997,
            r97.ClearDemand1997,
        )
    },
}
_ENCRYPTED_RELAY_BYTES: Final = 28


def request_frame(request: Request, address: str) -> Frame:
    """The frame of a request to a meter.

    Raises:
        AddressError: no address, or one that this request must not be sent to.
    """
    to = parse_address(address, request.edition)
    if to == BROADCAST and not request.to_broadcast:
        raise AddressError("Only time and freeze are broadcast; nobody would answer to 99…99.")
    if isinstance(request, r7.SENT_TO_ANY) and to != ANY_METER:
        raise AddressError(f"This request goes to {ANY_METER}, with one meter on the line.")
    return Frame(to, request.function, request.encode())


def answer_expected(request: Request, address: str) -> bool:
    """Whether to wait: nobody answers a broadcast, nor the time set by 08."""
    silent = isinstance(request, r7.BroadcastTime | r97.BroadcastTime1997)
    return not silent and expects_answer(address, request.edition)


def parse_request(frame: Frame, edition: Edition) -> Request:
    """The meter's side: what a frame asks.

    Raises:
        LayoutError: no request, none that the edition knows, or not of its layout.
    """
    if frame.from_meter:
        raise LayoutError("The frame comes from a meter: it is no request.")
    function = function_of(frame.control, edition)
    kind = None if function is None else _REQUESTS[edition].get(function)
    if kind is None or frame.control != function:
        raise LayoutError(f"Control code {frame.control:02X} is no request of {edition}.")
    if kind is r7.RelayControl and len(frame.data) == _ENCRYPTED_RELAY_BYTES:
        kind = r7.EncryptedRelayControl
    return kind.parse(frame.data)


def match_answer(request: Request, address: str, frame: Frame) -> Answer | None:
    """The answer in a frame, or None where the frame answers something else.

    Args:
        address: where the request was sent to.

    Raises:
        LayoutError: it is the answer, but has not the layout of one.
    """
    if not frame.from_meter or frame.function != request.function:
        return None
    if not answers(address, frame.address, request.edition):
        return None
    if not answer_expected(request, address):
        return None
    if frame.abnormal:
        return Refused.parse(request.function, frame.data)
    return request.parse_answer(frame.data, more=frame.follow_up)


def parse_answer(frame: Frame, request: Request) -> Answer:
    """The answer in a frame that is known to belong to a request.

    Raises:
        LayoutError: it does not, or not with this layout.
    """
    answer = match_answer(request, frame.address, frame)
    if answer is None:
        raise LayoutError("The frame does not answer this request.")
    return answer


def answer_frame(request: Request, own_address: Address, answer: Answer) -> Frame:
    """The meter's side: the frame of an answer.

    Raises:
        NotInEditionError: the request is one that no meter answers.
    """
    if not answer_expected(request, own_address):
        raise NotInEditionError("No meter answers this request.")
    control = answer_control(request.function, answer.kind)
    return Frame(own_address, control, answer.encode())
