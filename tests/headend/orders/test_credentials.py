"""The operator's file of meter passwords."""

from __future__ import annotations

from pathlib import Path

import pytest

from headend.orders.credentials import Credential, Credentials
from headend.orders.faults import CredentialsError
from protocols.dlt645.fields import Password

GOOD = """
[default]
level = 2
digits = "482913"

[north]
level = 4
digits = "771234"
operator = "0000001a"
"""


def written(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "passwords.toml"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_meter_names_its_entry_or_has_the_default_one(tmp_path: Path) -> None:
    found = Credentials.read(written(tmp_path, GOOD))
    assert found.of(None) == Credential(Password(2, "482913"))
    assert found.of("north") == Credential(Password(4, "771234"), "0000001A")
    with pytest.raises(CredentialsError, match="'south'"):
        found.of("south")


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD, 0o640)
    with pytest.raises(CredentialsError, match="chmod 600"):
        Credentials.read(path)


def test_passwords_are_in_no_text(tmp_path: Path) -> None:
    found = Credentials.read(written(tmp_path, GOOD))
    assert "482913" not in repr(found) + repr(found.of(None)) + str(found.of(None))


@pytest.mark.parametrize(
    "text",
    [
        "[default]\nlevel = 2\ndigits = 482913\n",
        '[default]\nlevel = "2"\ndigits = "482913"\n',
        '[default]\nlevel = 2\ndigits = "48291"\n',
        '[default]\nlevel = 2\ndigits = "482913"\nname = "x"\n',
        '[default]\nlevel = 2\ndigits = "482913"\noperator = "12"\n',
        "[default]\nlevel = 2\ndigits = 4829 13",
        "default = 482913",
    ],
)
def test_an_entry_that_is_none_is_refused_and_not_quoted(tmp_path: Path, text: str) -> None:
    with pytest.raises(CredentialsError) as refused:
        Credentials.read(written(tmp_path, text))
    assert "4829" not in str(refused.value)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match="cannot be read"):
        Credentials.read(tmp_path / "none.toml")
