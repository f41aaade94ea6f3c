"""A person enters a reading when the remote one fails (requirement 10)."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from sqlalchemy import select

from billing.office import Office
from headend.collection.faults import ManualReadingError
from headend.collection.manual import enter_reading
from headend.collection.tables import manual_readings
from tests.billing.accounts.desks import make_point


def test_req10_a_reading_by_hand_has_a_note_and_perhaps_a_photo(
    office: Office, tmp_path: Path
) -> None:
    with office.writing() as connection:
        make_point(connection, office, "8001")
    photo = tmp_path / "display.jpg"
    photo.write_bytes(b"a picture")
    station = office.station
    assert station is not None
    with pytest.raises(ManualReadingError, match="note"):
        enter_reading(station, "8001", "energy_import_total", "12.5", office.now(), " ", photo)
    enter_reading(
        station, "8001", "energy_import_total", "12.5", office.now(), "Gao: line is cut", photo
    )
    with office.reading() as connection:
        row = connection.execute(select(manual_readings)).one()
    assert (row.value, row.note, row.photo) == (12_500, "Gao: line is cut", "display.jpg")
    assert bytes.fromhex(row.photo_sha256) == hashlib.sha256(b"a picture").digest()
