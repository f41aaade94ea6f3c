"""Who may come in, and what they may do there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from argon2 import PasswordHasher
from sqlalchemy import text

from storage.engine import open_engine, writing
from storage.errors import InvariantError
from tests.shop.conftest import Clock
from vending import Meter, Shop, VendRequest
from vending.people import passwords, sign_in
from vending.people.actor import Role
from vending.people.credentials import ApiKey, Credentials, Password, SessionToken
from vending.people.faults import (
    BindingError,
    ClientMismatchError,
    FirstOperatorError,
    LastAdministratorError,
    OperatorExistsError,
    OperatorNameError,
    OwnRolesError,
    PasswordRuleError,
    SignInRequiredError,
    TooManyTriesError,
    UnknownApiKeyError,
    UnknownOperatorError,
    UnknownRoleError,
    WrongCredentialsError,
)
from vending.shop.faults import PermissionDeniedError, RequestFormatError

CHIEF_PASSWORD = "correct horse battery"
CHIEF = Password("Chief", CHIEF_PASSWORD)
CLERK = Password("carla", "clerks password 7")


@pytest.fixture(autouse=True)
def _quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2id all the same, with parameters that do not slow the tests down."""
    quick = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1)
    monkeypatch.setattr(passwords, "HASHER", quick)


class House:
    """A shop with an administrator and a clerk."""

    def __init__(self, url: str, clock: Clock) -> None:
        self.url, self.clock = url, clock

    def open(self, credentials: Credentials | None) -> Shop:
        return Shop.open(self.url, now=self.clock, credentials=credentials)


@pytest.fixture
def house(database_url: str, clock: Clock, meter: Meter) -> House:  # noqa: ARG001 - comes first
    house = House(database_url, clock)
    with house.open(None) as shop:
        shop.people.add_operator("Chief", CHIEF_PASSWORD, [Role.ADMINISTRATOR])
    with house.open(CHIEF) as shop:
        shop.people.add_operator(CLERK.name, CLERK.password, ["clerk"])
    return house


@pytest.fixture
def chief(house: House) -> Iterator[Shop]:
    with house.open(CHIEF) as shop:
        yield shop


def sale(meter: Meter, message_id: str = "1", client: str = "till") -> VendRequest:
    return VendRequest(client, message_id, meter.number, 5_000, operator="somebody else")


def test_the_first_operator_closes_the_house(database_url: str, clock: Clock) -> None:
    with Shop.open(database_url, now=clock) as shop:
        with pytest.raises(FirstOperatorError):
            shop.people.add_operator("carla", CLERK.password, ["clerk"])
        shop.people.add_operator("Chief", CHIEF_PASSWORD, ["administrator"])
        with pytest.raises(SignInRequiredError, match="sign-in"):
            shop.meters()
    with pytest.raises(SignInRequiredError):
        Shop.open(database_url, now=clock)


def test_another_process_that_was_open_is_shut_out_too(
    shop: Shop, database_url: str, clock: Clock
) -> None:
    with Shop.open(database_url, now=clock) as other:
        other.people.add_operator("Chief", CHIEF_PASSWORD, ["administrator"])
    shop._house.look_again()  # what a second later it does by itself
    with pytest.raises(SignInRequiredError):
        shop.meters()


def test_receipts_and_lines_name_who_signed_in(house: House, chief: Shop, meter: Meter) -> None:
    with house.open(CLERK) as shop:
        receipt = shop.vend(sale(meter)).require_done()
    assert receipt.seller.operator == "carla"
    chief.block_meter(meter.number, "debt", operator="somebody else")
    *_, line = chief.audit.lines(action="meter.blocked")
    assert line.actor == "Chief"


def test_a_clerk_does_a_clerks_work_and_no_other(house: House, meter: Meter) -> None:
    with house.open(CLERK) as shop:
        shop.meter(meter.number)
        shop.trial_vend(meter.number, 5_000)
        for refused in (
            lambda: shop.block_meter(meter.number, "x"),
            lambda: shop.set_price(shop.price()),
            shop.statement,
            shop.people.operators,
            shop.audit.head,
        ):
            with pytest.raises(PermissionDeniedError):
                refused()


def test_an_administrator_neither_sells_nor_changes_their_own_roles(
    chief: Shop, meter: Meter
) -> None:
    with pytest.raises(PermissionDeniedError, match="sell"):
        chief.vend(sale(meter))
    with pytest.raises(OwnRolesError):
        chief.people.set_roles("chief", ["administrator", "supervisor"], "more")


def test_names_differ_by_more_than_case(chief: Shop) -> None:
    with pytest.raises(OperatorExistsError):
        chief.people.add_operator("CARLA", CLERK.password, ["clerk"])
    for name in ("", "  ", "key:kiosk", "two\nlines", "x" * 65):
        with pytest.raises(OperatorNameError):
            chief.people.add_operator(name, CLERK.password, ["clerk"])


def test_what_is_no_credentials_is_said_so(house: House) -> None:
    for credentials in ("boss", b"key", 7, ("boss", "password")):
        with pytest.raises(RequestFormatError, match="Password"):
            house.open(credentials)  # type: ignore[arg-type]


def test_no_name_can_be_taken_for_another(chief: Shop) -> None:
    for name in ("c\u0430rl", "b\u03bfb", "a/b", "a\u2460", "z\u00eb\u5b8b"):
        with pytest.raises(OperatorNameError, match="script"):
            chief.people.add_operator(name, CLERK.password, ["clerk"])
    chief.people.add_operator("cop", CLERK.password, ["clerk"])
    with pytest.raises(OperatorExistsError, match="looks like"):
        chief.people.add_operator("\u0441\u043e\u0440", CLERK.password, ["clerk"])
    for name in (
        "Zo\u00eb O'Hara-2",
        "\u5f20\u4f1f",
        "\u0418\u0432\u0430\u043d",
        "\u5c71\u7530\u3055\u304f\u3089",
    ):
        assert chief.people.add_operator(name, CLERK.password, ["clerk"]).name == name


def test_wrong_values_are_refused(chief: Shop) -> None:
    for password in ("short", "x" * 1_001, "aaaaaaaaaaaa"):
        with pytest.raises(PasswordRuleError):
            chief.people.add_operator("dora", password, ["clerk"])
    with pytest.raises(PasswordRuleError, match="name"):
        chief.people.add_operator("long-enough-name", "Long-Enough-Name", ["clerk"])
    wrong: tuple[Any, ...] = ([], ["king"], None, 7, [[]], "clerk")
    for roles in wrong:
        with pytest.raises(UnknownRoleError, match="clerk"):
            chief.people.add_operator("dora", CLERK.password, roles)
    with pytest.raises(BindingError):
        chief.people.add_operator("dora", CLERK.password, ["clerk"], vendor_id=77)
    with pytest.raises(UnknownOperatorError):
        chief.people.disable_operator("nobody", "gone")
    with pytest.raises(RequestFormatError, match="why"):
        chief.people.disable_operator("carla", " ")


def test_a_disabled_operator_is_out_at_once_and_may_come_back(house: House, chief: Shop) -> None:
    with house.open(CLERK) as shop:
        session = shop.people.start_session()
        chief.people.disable_operator("carla", "left the company")
        shop._house.look_again()
        with pytest.raises(SignInRequiredError):
            shop.meters()
    for credentials in (CLERK, SessionToken(session.token)):
        with pytest.raises((WrongCredentialsError, SignInRequiredError)):
            house.open(credentials)
    chief.people.enable_operator("carla", "came back")
    house.open(CLERK).close()


def test_the_last_administrator_stays(house: House, chief: Shop) -> None:
    with pytest.raises(LastAdministratorError):
        chief.people.disable_operator("Chief", "holiday")
    engine = open_engine(house.url)
    for change in (
        "UPDATE operators SET disabled_at = added_at WHERE name = 'Chief'",
        "UPDATE operator_roles SET held = 0 WHERE role = 'administrator'",
        "DELETE FROM operator_roles",
    ):
        with pytest.raises(InvariantError), writing(engine) as connection:
            connection.execute(text(change))
    engine.dispose()


def test_of_two_administrators_who_shut_each_other_out_one_stays(house: House, chief: Shop) -> None:
    second = Password("second", "another password 2")
    chief.people.add_operator(second.name, second.password, ["administrator"])
    barrier = threading.Barrier(2)

    def shut_out(pair: tuple[Password, str]) -> bool:
        with house.open(pair[0]) as shop:
            barrier.wait()
            try:
                shop.people.disable_operator(pair[1], "mine")
            except (LastAdministratorError, SignInRequiredError):
                return False
            return True

    with ThreadPoolExecutor(2) as both:
        done = list(both.map(shut_out, [(CHIEF, "second"), (second, "Chief")]))
    assert sorted(done) == [False, True]


def test_wrong_passwords_are_slowed_down_and_time_heals(house: House, clock: Clock) -> None:
    wrong = Password("carla", "wrong password")
    for _ in range(5):
        with pytest.raises(WrongCredentialsError):
            house.open(wrong)
    with pytest.raises(TooManyTriesError, match="seconds"):
        house.open(CLERK)  # even the right one waits
    clock.advance(seconds=3)
    house.open(CLERK).close()
    with pytest.raises(WrongCredentialsError):
        house.open(wrong)


def test_names_that_nobody_has_are_treated_like_the_others(house: House) -> None:
    answers = []
    for name in ("carla", "nobody"):
        said = []
        for _ in range(7):
            with pytest.raises((WrongCredentialsError, TooManyTriesError)) as fault:
                house.open(Password(name, "wrong password"))
            said.append(str(fault.value))
        answers.append(said)
    assert answers[0] == answers[1]


def test_an_unknown_name_costs_as_much_work(monkeypatch: pytest.MonkeyPatch) -> None:
    checked = []
    verify = PasswordHasher.verify

    def counted(self: PasswordHasher, *given: object) -> object:
        checked.append(given[0])
        return verify(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(PasswordHasher, "verify", counted)
    assert not passwords.matches(None, "anything at all")
    (used,) = checked
    assert str(used).startswith("$argon2id$v=19$m=65536,t=3,p=4$")


def test_delays_grow_up_to_a_quarter_of_an_hour() -> None:
    delays = [sign_in.delay_after(failed) for failed in range(1, 40)]
    assert delays == sorted(delays)
    assert delays[3] == timedelta(0)
    assert delays[4] == timedelta(seconds=2)
    assert delays[-1] == timedelta(minutes=15)


def test_tries_at_the_same_time_are_all_counted(house: House) -> None:
    def attempt(number: int) -> bool:
        try:
            house.open(Password("carla", f"guess number {number}"))
        except TooManyTriesError:
            return False
        except WrongCredentialsError:
            return True
        raise AssertionError

    with ThreadPoolExecutor(8) as guesses:
        looked_at = sum(guesses.map(attempt, range(16)))
    assert looked_at <= 5


def test_a_clock_that_jumped_back_shuts_nobody_out_for_long(house: House, clock: Clock) -> None:
    clock.advance(days=400)
    for _ in range(5):
        with pytest.raises(WrongCredentialsError):
            house.open(Password("carla", "wrong password"))
    clock.advance(days=-400)
    house.open(CLERK).close()


def test_parameters_are_upgraded_when_somebody_signs_in(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    better = PasswordHasher(time_cost=2, memory_cost=2048, parallelism=1)
    monkeypatch.setattr(passwords, "HASHER", better)
    house.open(CLERK).close()
    engine = open_engine(house.url)
    with engine.connect() as connection:
        kept = connection.scalar(text("SELECT password_hash FROM operators WHERE name = 'carla'"))
    engine.dispose()
    assert kept is not None
    assert not better.check_needs_rehash(kept)
    house.open(CLERK).close()


def test_passwords_are_changed_by_their_owner_or_set_by_an_administrator(
    house: House, chief: Shop
) -> None:
    with house.open(CLERK) as shop:
        session = shop.people.start_session()
        with pytest.raises(WrongCredentialsError):
            shop.people.change_password("not the old one", "a quite new password")
        shop.people.change_password(CLERK.password, "a quite new password")
    with pytest.raises(SignInRequiredError):
        house.open(SessionToken(session.token))
    with pytest.raises(WrongCredentialsError):
        house.open(CLERK)
    house.open(Password("CARLA", "a quite new password")).close()
    chief.people.set_password("carla", CLERK.password, "forgot it")
    house.open(CLERK).close()


def test_a_session_stands_for_the_password_for_a_while(house: House, clock: Clock) -> None:
    with house.open(CLERK) as shop:
        session = shop.people.start_session(timedelta(hours=2))
        with pytest.raises(RequestFormatError):
            shop.people.start_session(timedelta(hours=13))
    with house.open(SessionToken(session.token)) as shop:
        assert shop.people.actor.name == "carla"
    clock.advance(hours=2)
    with pytest.raises(SignInRequiredError):
        house.open(SessionToken(session.token))
    with pytest.raises(SignInRequiredError):
        house.open(SessionToken("mhs_nothing"))


def test_who_signs_out_is_out(house: House) -> None:
    with house.open(CLERK) as shop:
        token = shop.people.start_session().token
        assert shop.people.end_session(token)
        assert not shop.people.end_session(token)
    with pytest.raises(SignInRequiredError):
        house.open(SessionToken(token))


def test_a_kiosks_key_opens_for_its_client_only(house: House, chief: Shop, meter: Meter) -> None:
    made = chief.people.add_api_key("kiosk-7")
    assert made.text not in repr(made)
    with house.open(ApiKey(made.text)) as kiosk:
        assert kiosk.vend(sale(meter, client="kiosk-7")).require_done().units > 0
        with pytest.raises(ClientMismatchError, match="kiosk-7"):
            kiosk.vend(sale(meter, client="till"))
        with pytest.raises(ClientMismatchError):
            kiosk.last_response("till", "1")
        with pytest.raises(PermissionDeniedError):
            kiosk.block_meter(meter.number, "x")
        with pytest.raises(SignInRequiredError):
            kiosk.people.start_session()
        chief.people.revoke_api_key(made.entry.prefix, "stolen")
        kiosk._house.look_again()
        with pytest.raises(SignInRequiredError, match="revoked"):
            kiosk.meter(meter.number)
    with pytest.raises(SignInRequiredError):
        house.open(ApiKey(made.text))


def test_keys_expire_and_name_only_what_is_there(house: House, chief: Shop, clock: Clock) -> None:
    until = clock() + timedelta(days=1)
    made = chief.people.add_api_key("kiosk-7", expires_at=until)
    house.open(ApiKey(made.text)).close()
    clock.advance(days=1)
    with pytest.raises(SignInRequiredError):
        house.open(ApiKey(made.text))
    for wrong in ({"expires_at": until}, {"vendor_id": 9}, {"terminal": "nowhere"}):
        with pytest.raises(BindingError):
            chief.people.add_api_key("kiosk-8", **wrong)
    with pytest.raises(UnknownApiKeyError):
        chief.people.revoke_api_key("00000000", "x")


@pytest.mark.parametrize("key", ["", "mhk_", "mhk_00000000_x", "nothing like it", "mhk_\ud800_x"])
def test_keys_that_are_none_open_nothing(house: House, key: str) -> None:
    with pytest.raises(WrongCredentialsError):
        house.open(ApiKey(key))


def test_no_secret_is_kept_or_shown(house: House, chief: Shop) -> None:
    made = chief.people.add_api_key("kiosk-7")
    with house.open(CLERK) as shop:
        token = shop.people.start_session().token
    secrets = (made.text, made.text.split("_", 2)[2], token, CLERK.password, CHIEF_PASSWORD)
    shown = [repr(each) for each in (CLERK, ApiKey(made.text), SessionToken(token), made)]
    with pytest.raises(WrongCredentialsError) as fault:
        house.open(Password("carla", "a wrong secret word"))
    shown.append(f"{fault.value!r} {fault.value}")
    stored = _everything(house.url)
    assert not [secret for secret in secrets if secret in stored or secret in " ".join(shown)]
    assert "a wrong secret word" not in " ".join(shown) + stored


def _everything(url: str) -> str:
    engine = open_engine(url)
    with engine.connect() as connection:
        rows = [
            str(connection.execute(text(f"SELECT * FROM {name}")).all())
            for name in ("operators", "sign_ins", "api_keys", "audit_lines", "password_tries")
        ]
    engine.dispose()
    return " ".join(rows)
