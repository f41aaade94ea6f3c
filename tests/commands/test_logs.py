"""What the logs say of a mistake: where it was, never what was in hand."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import structlog

from commands.counter import configure_logs
from commands.serve import configure_service_logs

DIGITS = "12345678901234567890"
PASSWORD = "00654321"


def deliver(digits: str) -> None:
    """A mistake of ours, deep in a library, with a token in hand."""
    password = PASSWORD
    in_parts = [digits[at : at + 4] for at in range(0, 20, 4)]
    raise RuntimeError(f"a mistake in part {len(in_parts)} of {len(password)}")


def service_in_words() -> None:
    configure_service_logs(as_json=False)


def service_in_json() -> None:
    configure_service_logs(as_json=True)


@pytest.mark.parametrize("configure", [service_in_words, service_in_json, configure_logs])
def test_a_mistake_with_a_token_in_hand_is_logged_without_it(
    configure: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    configure()
    with pytest.raises(RuntimeError) as raised:
        deliver(DIGITS)
    structlog.get_logger("test").error("job.failed", key="k", exc_info=raised.value)

    out, err = capsys.readouterr()
    said = out + err
    assert "a mistake in part 5 of 8" in said
    assert "deliver" in said
    for secret in (DIGITS, DIGITS[:4], DIGITS[8:12], PASSWORD):
        assert secret not in said
    if configure is not service_in_words:
        assert json.loads(said)["event"] == "job.failed"
