"""What opens a closed shop.  Secrets never show: not in a repr, not in a message, not in a log."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Password:
    """A person, by name and password."""

    name: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A program, by the key that was shown when it was made."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SessionToken:
    """A person who signed in a while ago at this till (`PeopleDesk.start_session`)."""

    text: str = field(repr=False)


Credentials = Password | ApiKey | SessionToken
