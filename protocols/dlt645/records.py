"""Frames as plain records: what ``meterhouse frame`` reads and writes, a JSON object a line.

Field names are those of the gathered frames (``tests/vectors/dlt645.json``).

`decode_record` reads ``hex`` and, if the caller knows it, ``protocol`` ("2007" or "1997"; a guess
is made otherwise), and answers

===============  ==========================================================================
``protocol``     "2007" or "1997"
``address``      12 characters, most significant first
``control``      two hexadecimal digits; ``function`` in words, ``from_meter``, ``abnormal``,
                 ``follow_up`` are its bits; ``length`` is L
``di``, ``name`` the identifier and its English name; null where there is none
``values``       one ``{"value", "unit"}`` each: ``"123456.78"``, ``"2016-01-11 w1"``,
                 ``"21:53:55"``, ``"'220.0V'"``; ``"raw 0102"`` where the catalogue cannot say,
                 ``"not BCD 32dc6c38"``, null for "not available"
``error``        why the meter refuses, in words
``labels``       what each value is, where there are several
``flags``        of a status word: the bits that are set, in words
``notes``        what is odd about the frame
``preamble_fe``  FE bytes in front
===============  ==========================================================================

and the fields of its request or answer: ``seq``, ``blocks``, ``since``, ``password_level``,
``password``, ``new_password_level``, ``new_password``, ``operator``, ``command``, ``parameter``,
``valid_until``, ``cipher_and_mac``, ``time``, ``baud``, ``feature``, ``output``, ``clear_di``,
``new_address``, ``amount_cents``, ``count``, ``mac1``, ``mac2``, ``client_number``,
``payload``.  `encode_record` takes the same fields and gives ``{"hex"}``; ``data``, the bytes
before the +33H shift, stands for all of them, and `decode_record` gives it where they cannot say
all that the frame holds.
"""

from __future__ import annotations

from protocols.dlt645 import codec
from protocols.dlt645.codec import FRAME_BYTES_MAX, PREAMBLE_BYTES, Frame, FrameDecoder
from protocols.dlt645.controls import function_name, function_of, guess_edition
from protocols.dlt645.errors import InvalidFieldError
from protocols.dlt645.record_build import build_frame
from protocols.dlt645.record_fields import Fields, Record
from protocols.dlt645.record_view import Answer, View
from protocols.errors import ProtocolError


def decode_record(record: Record) -> Answer:
    """Take a frame apart.

    Raises:
        FrameNotFoundError, FrameCutError, FrameEndError, FrameChecksumError: the frame must be
            rejected; the code says why.
        RecordError: the record itself is wrong.
    """
    fields = Fields(record)
    wire, told = fields.bytes("hex"), fields.edition()
    decoder = FrameDecoder()
    frames = decoder.feed(wire) + decoder.gap()
    frame = frames[0] if len(frames) == 1 else codec.decode(wire)
    edition = told or guess_edition(frame)
    function = function_of(frame.control, edition)
    answer: Answer = {
        "protocol": edition.value,
        "address": frame.address,
        "control": f"{frame.control:02X}",
        "function": function_name(function),
        "from_meter": frame.from_meter,
        "abnormal": frame.from_meter and frame.abnormal,
        "follow_up": frame.from_meter and frame.follow_up,
        "length": len(frame.data),
        "di": None,
        "name": None,
        "values": [],
        "error": [],
    }
    notes = [f"{noise.length} bytes of noise skipped" for noise in decoder.take_noise()]
    view = View(frame, edition, function, answer, notes)
    view.show()
    answer["preamble_fe"] = decoder.preamble_bytes
    if notes:
        answer["notes"] = notes
    if not _says_all(answer, frame):
        answer["data"] = frame.data.hex()
    return answer


def _says_all(answer: Answer, frame: Frame) -> bool:
    """Whether the fields alone give the same frame again."""
    try:
        return build_frame(Fields(answer)) == frame
    except ProtocolError:
        return False


def encode_record(record: Record) -> dict[str, str]:
    """Make a frame: ``{"hex": "FE FE FE FE 68 …"}``.

    Raises:
        RecordError, LocalProtocolError: whatever is wrong with the record.
    """
    fields = Fields(record)
    preamble = fields.number("preamble_fe", PREAMBLE_BYTES)
    if not 0 <= preamble <= FRAME_BYTES_MAX:
        raise InvalidFieldError(f"Field 'preamble_fe' must be 0-{FRAME_BYTES_MAX}.")
    return {"hex": codec.encode(build_frame(fields), preamble).hex(" ").upper()}
