"""How the key commands show what they know."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.table import Table

from commands.output import console, print_json

if TYPE_CHECKING:
    from vending.security.ceremony import Ceremony
    from vending.security.groups import KeyWarning, RevisionRecord, SupplyGroup
    from vending.security.vault import VaultStatus


def print_vault(found: VaultStatus, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "method": found.method.value,
                "argon2id": {
                    "passes": found.cost.passes,
                    "memory_kib": found.cost.memory_kib,
                    "lanes": found.cost.lanes,
                },
                "data_key_no": found.data_key_no,
                "made_at": found.made_at.isoformat(),
                "rotated_at": found.rotated_at.isoformat(),
                "sta_tables_sha256": found.tables_sha256,
            }
        )
        return
    opened_with = found.method.value.replace("_", " ")
    console.print(f"The vault is opened with a {opened_with}.", markup=False)
    console.print(
        f"Made {found.made_at:%Y-%m-%d %H:%M} UTC, rotated {found.rotated_at:%Y-%m-%d %H:%M} UTC, "
        f"data key {found.data_key_no}.",
        markup=False,
    )
    if found.tables_sha256 is not None:
        console.print(f"Licensed STA tables: SHA-256 {found.tables_sha256}", markup=False)


def print_groups(found: list[SupplyGroup], *, as_json: bool) -> None:
    if as_json:
        print_json(
            [
                {
                    "sgc": each.sgc,
                    "name": each.name,
                    "kind": each.kind.value,
                    "policy": each.policy.value,
                }
                for each in found
            ]
        )
        return
    table = Table("SGC", "Name", "Kind", "Outdated keys", box=None, pad_edge=False)
    for each in found:
        table.add_row(each.sgc, each.name, each.kind.value, each.policy.value)
    console.print(table)


def print_record(record: RevisionRecord, *, as_json: bool) -> None:
    if as_json:
        print_json(record_object(record))
    else:
        show_keys([record])


def show_keys(records: list[RevisionRecord]) -> None:
    columns = ("SGC", "KRN", "DKGA", "Base", "KEN", "Check value", "State", "Until", "Kept in")
    table = Table(*columns, box=None, pad_edge=False)
    for record in records:
        terms = record.terms
        table.add_row(
            terms.sgc,
            str(terms.krn),
            f"{terms.dkga.value:02d}",
            str(int(terms.base_date)),
            str(terms.ken),
            record.kcv or "",
            record.state.value,
            "" if terms.issued_until is None else f"{terms.issued_until:%Y-%m-%d}",
            record.provider.value,
        )
    console.print(table)


def record_object(record: RevisionRecord) -> dict[str, Any]:
    terms = record.terms
    return {
        "sgc": terms.sgc,
        "krn": terms.krn,
        "dkga": terms.dkga.value,
        "base_year": int(terms.base_date),
        "ken": terms.ken,
        "valid_from": terms.valid_from.isoformat(),
        "issued_until": _iso(terms.issued_until),
        "ends": _iso(terms.ends),
        "kcv": record.kcv,
        "state": record.state.value,
        "provider": record.provider.value,
    }


def warning_object(warning: KeyWarning) -> dict[str, Any]:
    return {
        "sgc": warning.sgc,
        "krn": warning.krn,
        "ends": warning.ends.isoformat(),
        "why": warning.why,
        "over": warning.is_over,
        "message": warning.text,
    }


def ceremony_object(found: Ceremony) -> dict[str, Any]:
    return {
        "ceremony": found.ceremony_id,
        "sgc": found.terms.sgc,
        "krn": found.terms.krn,
        "dkga": found.terms.dkga.value,
        "components": found.components,
        "state": found.state.value,
        "entered": [
            {"position": each.position, "person": each.person, "kcv": each.kcv}
            for each in found.entered
        ],
    }


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
