"""Messages that wait for the broker: the newest of each topic, and a bounded number of topics."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Final

from headend.publishing.messages import Message

TOPICS_MAX: Final = 50_000


class Buffer:
    """A queue of messages; a newer one takes the place of its topic's older one.

    When it is full the oldest message gives way and is counted: a state that was not published is
    published again with the next reading, and no reading is lost in the store.
    """

    def __init__(self, topics_max: int = TOPICS_MAX) -> None:
        self._topics_max = topics_max
        self._waiting: dict[str, Message] = {}
        self._lock = threading.Lock()
        self.dropped = 0
        """Messages that gave way."""

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, messages: Iterable[Message]) -> None:
        """Have them published; from any thread."""
        with self._lock:
            for message in messages:
                self._waiting.pop(message.topic, None)
                self._waiting[message.topic] = message
            while len(self._waiting) > self._topics_max:
                del self._waiting[next(iter(self._waiting))]
                self.dropped += 1

    def take(self, count: int) -> list[Message]:
        """The oldest ones; they are no longer here."""
        with self._lock:
            topics = [topic for topic, _ in zip(self._waiting, range(count), strict=False)]
            return [self._waiting.pop(topic) for topic in topics]

    def put_back(self, messages: Iterable[Message]) -> None:
        """They were not published: again, unless there is a newer one."""
        with self._lock:
            older = {each.topic: each for each in messages if each.topic not in self._waiting}
            self._waiting = older | self._waiting
