"""`meterhouse meter fault`, by the entry point."""

from __future__ import annotations

from tests.shop.test_commands import NUMBER, Counter, counter, env

__all__ = ["counter", "env"]


def test_a_fault_is_reported_listed_and_closed(counter: Counter) -> None:
    asked = ("meter", "fault", "report", NUMBER, "--kind", "no_supply", "--message-id", "f1")
    told = counter.run(*asked, "--words", "since noon", "--contact", "072 555 0101")
    assert "number 1" in told
    again = counter.run(*asked, "--words", "since noon", "--contact", "072 555 0101")
    assert "was reported before, as number 1" in again
    listed = counter.run("meter", "fault", "list")
    assert "no supply" in listed
    assert "072 555 0101" in listed
    (found,) = counter.json("meter", "fault", "list")
    assert (found["report_no"], found["state"], found["meter"]) == (1, "open", NUMBER)
    closed = counter.json("meter", "fault", "close", "1", "--words", "breaker replaced")
    assert (closed["state"], closed["closing_words"]) == ("closed", "breaker replaced")
    assert counter.run("meter", "fault", "list") == "None is open.\n"
    assert "breaker replaced" in counter.run("meter", "fault", "list", "--state", "closed")
    assert len(counter.json("meter", "fault", "list", "--state", "all")) == 1


def test_refusals_have_the_status_of_their_family(counter: Counter) -> None:
    unknown = ("meter", "fault", "report", "07000000013", "--kind", "display")
    assert "unknown_meter" in counter.run(*unknown, status=3)
    other = ("meter", "fault", "report", NUMBER, "--kind", "other")
    assert "request_format" in counter.run(*other, status=4)
    assert "unknown_fault_report" in counter.run(
        "meter", "fault", "close", "7", "--words", "seen", status=3
    )


def test_the_answer_to_a_report_is_told_as_no_sale(counter: Counter) -> None:
    reported = counter.json(
        "meter", "fault", "report", NUMBER, "--kind", "keypad", "--message-id", "f1"
    )
    assert counter.json("vend", "last", "--message-id", "f1") == reported
    assert "no sale" in counter.run("vend", "last", "--message-id", "f1")
