"""Tests of the prepay loop wait for no contact to settle."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _no_waiting_for_contacts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headend.talk.ordering_relay.LOOK_SETTLE_S", 0.0)
