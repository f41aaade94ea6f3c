"""What becomes due in the prepay loop; bounded, may be called at any time, by many processes."""

from __future__ import annotations

from billing.office import Office
from billing.person import SERVICE
from billing.prepaid.due import look_at_due
from billing.prepaid.following import begin_anew_after_exchange, follow, light_who_has_paid
from billing.prepaid.giving import give_approved
from billing.prepaid.handing_over import let_go_who_has_left
from billing.prepaid.leniency import GoodPayer, nobody
from billing.prepaid.outlook import daily_pass


def sweep(office: Office, good: GoodPayer = nobody) -> int:
    """Follow orders, give light to who has paid, look at who is due, remind; gives how much.

    Args:
        office: the office; without a head-end nothing is switched.
        good: whether an account pays well, as collections know it.
    """
    acting = office.acting(SERVICE)
    done = give_approved(acting) + daily_pass(acting)
    if office.station is not None:
        done += follow(acting) + let_go_who_has_left(acting) + light_who_has_paid(acting)
        done += begin_anew_after_exchange(acting) + look_at_due(acting, good)
    return done
