"""Orders that are stored as they were agreed, and what is held for them until then.

`intents` get what was agreed at the order; `intent_holds` says what belongs to an open intent.
While a meter or its service point is held, no other request stores a receipt there: no token, no
payment, no reversal and no new key can come between an order and its token.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from storage.migrations import triggers
from storage.migrations.columns import check, foreign, primary, table, text
from storage.migrations.rebuild import is_postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_IS_FREE = (
    "NOT EXISTS (SELECT 1 FROM intent_holds WHERE intent_holds.what IN ('meter ' || {meter}, "
    "(SELECT 'point ' || meters.service_point FROM meters WHERE meters.meter_id = {meter})){own})"
)
_NOT_OWN = (
    " AND NOT (intent_holds.client = NEW.client AND intent_holds.message_id = NEW.message_id)"
)
_OF_DEBT = "(SELECT debts.meter_id FROM debts WHERE debts.debt_id = NEW.debt_id)"


def upgrade() -> None:
    """Widen the intents, make their holds, and hold what is open by now."""
    op.add_column("intents", sa.Column("agreed", sa.LargeBinary(), nullable=True))
    same = "IS NOT DISTINCT FROM" if is_postgresql() else "IS"
    triggers.guarded(
        "intents",
        "update",
        f"NEW.agreed {same} OLD.agreed",
        "what was agreed stays agreed",
        name="intents_agreed",
    )
    name = "intent_holds"
    table(
        name,
        text("what"),
        text("client"),
        text("message_id"),
        primary(name, "what"),
        foreign(name, ["client", "message_id"], "intents"),
        check(name, "what", "length(what) > 0"),
        clustered=True,
    )
    op.create_index("ix_intent_holds_client_message_id", name, ["client", "message_id"])
    op.execute(
        "INSERT INTO intent_holds (what, client, message_id) "
        "SELECT 'meter ' || meter_id, client, message_id FROM intents WHERE state = 'open'"
    )
    _holds_end_with_their_intent()
    _nothing_comes_between()
    _agreed_without_a_shift()


def _holds_end_with_their_intent() -> None:
    triggers.frozen("intent_holds", ["what", "client", "message_id"])
    is_open = (
        "EXISTS (SELECT 1 FROM intents WHERE intents.client = {0}.client "
        "AND intents.message_id = {0}.message_id AND intents.state = 'open')"
    )
    triggers.inserted_only_if("intent_holds", is_open.format("NEW"), "only an open intent holds")
    message = "intent_holds: an open intent keeps what it holds"
    if is_postgresql():
        op.execute(
            "CREATE FUNCTION intent_holds_delete() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"IF ({is_open.format('OLD')}) THEN RAISE EXCEPTION '{message}' "
            "USING ERRCODE = 'integrity_constraint_violation'; END IF; RETURN OLD; END $$"
        )
        op.execute(
            "CREATE TRIGGER intent_holds_delete BEFORE DELETE ON intent_holds "
            "FOR EACH ROW EXECUTE FUNCTION intent_holds_delete()"
        )
        return
    op.execute(
        "CREATE TRIGGER intent_holds_delete BEFORE DELETE ON intent_holds "
        f"WHEN {is_open.format('OLD')} BEGIN SELECT RAISE(ABORT, '{message}'); END"
    )
    op.execute(
        "CREATE TRIGGER intent_holds_replace BEFORE INSERT ON intent_holds "
        "WHEN EXISTS (SELECT 1 FROM intent_holds WHERE what = NEW.what) "
        "BEGIN SELECT RAISE(ABORT, 'intent_holds: this key is taken'); END"
    )


def _nothing_comes_between() -> None:
    triggers.guarded(
        "receipts",
        "insert",
        _IS_FREE.format(meter="NEW.meter_id", own=_NOT_OWN),
        "a token is being made for this meter",
        name="receipts_held",
        lock="SELECT 1 FROM meters WHERE meter_id = NEW.meter_id FOR NO KEY UPDATE",
    )
    triggers.guarded(
        "debt_payments",
        "insert",
        _IS_FREE.format(meter=_OF_DEBT, own=""),
        "a token is being made for this meter",
        name="debt_payments_held",
        only="NEW.receipt_no IS NULL",
    )


def _agreed_without_a_shift() -> None:
    """Cash that was taken when none was asked for stays as it was agreed."""
    name = "receipts_cash_in_a_shift"
    if is_postgresql():
        op.execute(f"DROP TRIGGER {name} ON receipts")
        op.execute(f"DROP FUNCTION {name}()")
    else:
        op.execute(f"DROP TRIGGER {name}")
    triggers.guarded(
        "receipts",
        "insert",
        "(SELECT shifts_required FROM cash_settings) = 0 OR EXISTS (SELECT 1 FROM intents "
        "WHERE intents.client = NEW.client AND intents.message_id = NEW.message_id)",
        "cash is taken in a shift",
        name=name,
        only="NEW.shift_id IS NULL AND NEW.tender = 'cash'",
    )
