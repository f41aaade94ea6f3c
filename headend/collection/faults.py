"""What collection refuses."""

from __future__ import annotations

from typing import ClassVar

from headend.faults import HeadEndError


class CollectionError(HeadEndError):
    """Any fault of collection."""

    code: ClassVar[str] = "collection"


class PlanError(CollectionError):
    """A reading plan cannot be as it is described."""

    code: ClassVar[str] = "plan"


class NoPlanError(CollectionError):
    """No plan, round or list of this name."""

    code: ClassVar[str] = "no_plan"


class PlanTakenError(CollectionError):
    """A plan of this name is in force."""

    code: ClassVar[str] = "plan_taken"


class ReadingDayError(CollectionError):
    """A reading day cannot be set or moved so."""

    code: ClassVar[str] = "reading_day"


class ManualReadingError(CollectionError):
    """A reading that a person brings cannot be kept so."""

    code: ClassVar[str] = "manual_reading"


class VisitBrokenError(CollectionError):
    """Something that nobody had thought of broke a meter's visit; the log has it in full."""

    code: ClassVar[str] = "visit_broken"
