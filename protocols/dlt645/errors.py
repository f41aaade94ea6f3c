"""Faults of the DL/T 645 codec: one class and one stable code each."""

from __future__ import annotations

from typing import ClassVar

from protocols.errors import LocalProtocolError, RemoteProtocolError


class AddressError(LocalProtocolError):
    """An address that no meter can have, or that this request may not use."""

    code: ClassVar[str] = "address"


class FieldRangeError(LocalProtocolError):
    """A field of a request does not fit its place in the frame."""

    code: ClassVar[str] = "field_range"


class TooLongError(LocalProtocolError):
    """More data than one frame may carry."""

    code: ClassVar[str] = "too_long"


class ValueFormatError(LocalProtocolError):
    """A value cannot be written in its data item's format."""

    code: ClassVar[str] = "value_format"


class UnknownItemError(LocalProtocolError):
    """The catalogue does not know the data item, so its values cannot be written."""

    code: ClassVar[str] = "unknown_item"


class NotInEditionError(LocalProtocolError):
    """The request does not exist in this edition of the standard."""

    code: ClassVar[str] = "not_in_edition"


class FrameNotFoundError(RemoteProtocolError):
    """There is no frame in the bytes."""

    code: ClassVar[str] = "frame_not_found"


class FrameCutError(RemoteProtocolError):
    """The frame ends before its length says so."""

    code: ClassVar[str] = "frame_cut"


class FrameEndError(RemoteProtocolError):
    """The byte where the frame should end is not 16H."""

    code: ClassVar[str] = "frame_end"


class FrameChecksumError(RemoteProtocolError):
    """The frame's checksum does not fit its bytes."""

    code: ClassVar[str] = "frame_checksum"


class LayoutError(RemoteProtocolError):
    """A good frame whose data do not have the layout of its control code."""

    code: ClassVar[str] = "layout"


class FollowUpError(RemoteProtocolError):
    """A long answer came in parts that do not fit together; none of it is used."""

    code: ClassVar[str] = "follow_up"


class RecordError(LocalProtocolError):
    """A record (a JSON object of the engineers' commands) cannot be understood."""

    code: ClassVar[str] = "record"


class MissingFieldError(RecordError):
    """A field that the frame needs is not there."""

    code: ClassVar[str] = "missing_field"


class UnknownFieldError(RecordError):
    """A field looks like a misspelt one; guessing would change the frame."""

    code: ClassVar[str] = "unknown_field"


class InvalidFieldError(RecordError):
    """A field has the wrong form."""

    code: ClassVar[str] = "invalid_field"
