"""Codes of the prepay loop's faults, which programs rely on."""

from __future__ import annotations

import pytest

from billing.prepaid import faults


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (faults.PrepaidError, "prepaid"),
        (faults.NotPrepaidError, "not_prepaid"),
        (faults.NoHeadEndError, "no_head_end"),
        (faults.PrepaidPolicyError, "prepaid_policy"),
        (faults.NotHeldError, "not_held"),
        (faults.NoCutError, "no_cut"),
        (faults.EmergencyCreditError, "emergency_credit"),
        (faults.EmergencyCreditLimitError, "emergency_credit_limit"),
    ],
)
def test_codes_are_stable(fault: type[faults.PrepaidError], code: str) -> None:
    assert fault.code == code
    assert fault.is_system is (code == "no_head_end")
