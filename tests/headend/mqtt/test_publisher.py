"""What is published to a real broker, also when it goes away, comes back, or is slow."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from headend.collection.visit import Visit
from headend.publishing import publisher as publisher_module
from headend.publishing.alarms import unpublished
from headend.publishing.broker import PASSWORD_VARIABLE, Broker, broker_at
from headend.publishing.buffer import Buffer
from headend.publishing.faults import BrokerEntryError
from headend.publishing.messages import Message, discovery
from headend.publishing.publisher import Publisher
from headend.station import Station
from headend.talk.device import Device
from headend.talk.reading import ReadOut
from headend.values import Reading, Source
from headend.watching.alarms import AlarmDesk, Severity, close_if_open, raise_alarm
from tests.headend.mqtt.broker import broker, free_port, listening
from tests.headend.registered import add_line
from tests.headend.running import on_a_loop
from tests.shop.conftest import Clock

AT = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
METER = Device(7, "01000000016", "dlt645-2007", "001000000016", None, 1, None, "credit", 1, AT)
STATE = "meterhouse/meter/01000000016/energy_import_total"
ONLINE = "meterhouse/worker/north/availability"


def visit(wh: int, source: Source = Source.REGISTER) -> Visit:
    """A visit that has brought a register."""
    told = ReadOut(7, AT)
    told.values.append(Reading(7, "energy_import_total", AT, wh, source))
    return Visit(METER, told)


@asynccontextmanager
async def publishing(port: int, **options: str) -> AsyncIterator[Publisher]:
    """A publisher at work."""
    made = Publisher(Broker("127.0.0.1", port, **options))  # type: ignore[arg-type]
    task = asyncio.create_task(made.run("north"))
    try:
        yield made
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(condition: object) -> None:
    """Wait for something that a function tells."""
    assert callable(condition)
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.02)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for long in a test."""
    monkeypatch.setattr(publisher_module, "_AGAIN_S", (0.05, 0.2))
    monkeypatch.setattr(publisher_module, "_ANSWER_S", 2.0)


@on_a_loop
async def test_readings_are_retained_as_text_and_announced() -> None:
    port = free_port()
    async with broker(port), publishing(port, discovery="homeassistant") as made:
        made.kept([visit(1_234_560), visit(5, Source.FREEZE)])
        await until(lambda: made.is_connected and not made.waiting)
        async with listening(port) as heard:  # comes later: it is given what is retained
            await heard.until(STATE)
            config = heard.document(
                "homeassistant/sensor/meterhouse_01000000016_energy_import_total/config"
            )
            assert heard.of(ONLINE) == ["online"]
    assert json.loads(heard.of(STATE)[0]) == {
        "value": "1234.560", "unit": "kWh", "at": "2026-11-22T09:00:00Z",
        "quality": "good", "source": "register",
    }  # fmt: skip
    assert config["state_topic"] == STATE
    assert (config["device_class"], config["unit_of_measurement"], config["state_class"]) == (
        "energy", "kWh", "total_increasing",
    )  # fmt: skip
    assert config["availability_topic"] == ONLINE


@on_a_loop
async def test_a_stop_says_offline_and_a_crash_does_by_the_last_will() -> None:
    port = free_port()
    async with broker(port) as real, listening(port) as heard:
        async with publishing(port) as made:
            await until(lambda: made.is_connected)
            await heard.until(ONLINE)
        assert (await heard.until(ONLINE, 2))[-1] == "offline"
        async with publishing(port) as made:
            await heard.until(ONLINE, 3)
            client = made._client
            assert client is not None
            sock = client._client.socket()
            assert sock is not None
            socket.socket.shutdown(sock, 2)  # type: ignore[arg-type]  # cut, without a word
            assert (await heard.until(ONLINE, 4))[3] == "offline"
            assert (await heard.until(ONLINE, 5))[4] == "online"
        assert real


@on_a_loop
async def test_what_was_read_while_the_broker_was_away_comes_later() -> None:
    port = free_port()
    async with publishing(port, discovery="homeassistant") as made:
        made.kept([visit(1_000)])
        made.kept([visit(2_000)])
        assert made.waiting == 1  # the newest
        async with broker(port), listening(port) as heard:
            assert json.loads((await heard.until(STATE))[0])["value"] == "2.000"
        await until(lambda: not made.is_connected)
        made.kept([visit(3_000)])
        async with broker(port), listening(port) as heard:
            assert json.loads((await heard.until(STATE))[0])["value"] == "3.000"
            # the broker had forgotten everything: what is there is told anew
            await heard.until(
                "homeassistant/sensor/meterhouse_01000000016_energy_import_total/config"
            )


@on_a_loop
async def test_a_broker_that_never_answers_keeps_nobody_waiting() -> None:
    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected = bytes((0x20, 2, 0, 0))
        await reader.read(1)
        writer.write(connected)
        with suppress(OSError, asyncio.CancelledError):
            await reader.read()  # takes everything in, and confirms nothing
        writer.close()

    server = await asyncio.start_server(never, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with publishing(port) as made:
        made._buffer = Buffer(topics_max=10)
        began = time.monotonic()
        for number in range(1_000):
            made._buffer.put([Message(f"meterhouse/meter/{number}/x", "1")])
        made.kept([visit(1)])
        assert time.monotonic() - began < 1
        await asyncio.sleep(3)
        assert made.waiting == 10
        assert made.dropped == 991
    server.close()


@on_a_loop
async def test_an_alarm_that_was_raised_while_the_broker_was_down_arrives(
    station: Station, clock: Clock
) -> None:
    port = free_port()
    line = await asyncio.to_thread(add_line, station, "tcp://127.0.0.1:1")

    def raised() -> int:
        with station.writing() as connection:
            return raise_alarm(connection, "link_dead", link_id=line, severity=Severity.CRITICAL,
                               words="Nobody answers.", at=station.now())  # fmt: skip

    async with publishing(port) as made:
        assert await asyncio.to_thread(made.sweep_alarms, station) == 0
        alarm = await asyncio.to_thread(raised)
        clock.advance(hours=3)  # longer than what a first start goes back
        assert await asyncio.to_thread(made.sweep_alarms, station) == 0
    async with broker(port), listening(port) as heard, publishing(port) as made:  # another process
        await until(lambda: made.is_connected)
        assert await asyncio.to_thread(made.sweep_alarms, station) == 1
        assert await asyncio.to_thread(made.sweep_alarms, station) == 0
        line_of = json.loads((await heard.until("meterhouse/alarms"))[0])
        assert (line_of["act"], line_of["about"], line_of["alarm"]) == (
            "raised", "link line 1", alarm,
        )  # fmt: skip
        assert heard.document(f"meterhouse/alarm/{alarm}")["state"] == "open"
        await asyncio.to_thread(AlarmDesk(station).acknowledge, alarm, "on my way")
        await asyncio.to_thread(made.sweep_alarms, station)
        await heard.until(f"meterhouse/alarm/{alarm}", 2)
        assert heard.document(f"meterhouse/alarm/{alarm}")["state"] == "acknowledged"

        def closed() -> None:
            with station.writing() as connection:
                close_if_open(connection, "link_dead", link_id=line, words="back",
                              at=station.now())  # fmt: skip

        await asyncio.to_thread(closed)
        await asyncio.to_thread(made.sweep_alarms, station)
        assert (await heard.until(f"meterhouse/alarm/{alarm}", 3))[-1] == ""
        ids = [json.loads(each)["id"] for each in await heard.until("meterhouse/alarms", 3)]
        assert ids == sorted(set(ids))


@on_a_loop
async def test_an_alarm_that_the_broker_did_not_confirm_is_not_noted(station: Station) -> None:
    line = await asyncio.to_thread(add_line, station, "tcp://127.0.0.1:1")
    port = free_port()
    async with broker(port), publishing(port) as made:
        await until(lambda: made.is_connected)
        await asyncio.to_thread(made.sweep_alarms, station)
    with station.writing() as connection:
        raise_alarm(connection, "link_dead", link_id=line, severity=Severity.NOTICE, words="x",
                    at=station.now())  # fmt: skip
    await asyncio.to_thread(made.sweep_alarms, station)
    with station.reading() as connection:
        assert len(unpublished(connection, made._broker.channel)) == 1


def test_a_late_commit_with_a_smaller_number_is_found(station: Station, clock: Clock) -> None:
    from sqlalchemy import insert

    from headend.publishing.alarms import begin, note_published
    from headend.watching.tables import alarm_history

    line = add_line(station, "tcp://127.0.0.1:1")
    with station.writing() as connection:
        alarm = raise_alarm(connection, "a", link_id=line, severity=Severity.NOTICE, words="x",
                            at=station.now())  # fmt: skip
        begin(connection, "here", station.now())

        def line_of(number: int) -> None:
            connection.execute(
                insert(alarm_history).values(
                    entry_id=number,
                    alarm_id=alarm,
                    at=station.now(),
                    act="escalated",
                    actor="x",
                    severity="notice",
                    words="x",
                )
            )

        line_of(900)
        found = [each.entry_id for each in unpublished(connection, "here")]
        note_published(connection, "here", found, station.now())
        line_of(899)
        assert [each.entry_id for each in unpublished(connection, "here")] == [899]
        note_published(connection, "here", [899], station.now())
        clock.advance(hours=2)
        note_published(connection, "here", [], station.now())
        line_of(901)
        assert [each.entry_id for each in unpublished(connection, "here")] == [901]


def test_a_password_is_never_on_the_command_line_nor_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BrokerEntryError) as refused:
        broker_at("mqtt://me:topsecret@host")
    assert "topsecret" not in str(refused.value)
    monkeypatch.setenv(PASSWORD_VARIABLE, "topsecret")
    made = broker_at("mqtts://me@host")
    assert (made.user, made.password, made.port) == ("me", "topsecret", 8883)
    assert "topsecret" not in repr(made)
    kept = tmp_path / "password"
    kept.write_text("other\n")
    kept.chmod(0o644)
    with pytest.raises(BrokerEntryError, match="chmod 600"):
        broker_at("mqtt://me@host", password_file=kept)
    kept.chmod(0o600)
    assert broker_at("mqtt://me@host", password_file=kept).password == "other"


@pytest.mark.parametrize("url", ["host", "http://host", "mqtt://", "mqtt://h:0", "mqtt://h/x"])
def test_what_is_no_broker_is_refused(url: str) -> None:
    with pytest.raises(BrokerEntryError):
        broker_at(url)


@pytest.mark.parametrize("prefix", ["", "a b", "a/#", "+", "a/", "/a", "$SYS"])
def test_a_prefix_that_makes_no_topic_is_refused(prefix: str) -> None:
    with pytest.raises(BrokerEntryError):
        broker_at("mqtt://h", prefix=prefix)


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [
        ("voltage_l1", ("voltage", "V", "measurement")),
        ("power_active_total", ("power", "W", "measurement")),
        ("credit", ("energy", "kWh", "total")),
        ("reactive_energy_import_total", ("reactive_energy", "kvarh", "total_increasing")),
        ("contact_state", (None, None, None)),
    ],
)
def test_home_assistant_is_told_what_a_quantity_is(
    quantity: str, expected: tuple[str | None, ...]
) -> None:
    document = json.loads(discovery("homeassistant", "mh", "north", "1", quantity).payload)
    names = ("device_class", "unit_of_measurement", "state_class")
    assert tuple(document.get(name) for name in names) == expected
