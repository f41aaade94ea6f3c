"""Commands to meters: ordered in a business transaction, sent once, read back, settled.

===================  ===================================================================
`desk`               `Orders`: order, approve, cancel, look; begin here
`placing`            how one is given
`values`             kinds, states, an order as it stands
`says`               what an order says, per kind: checked, canonical, without secrets
`rules`              what forbids an order, what it waits for, what takes two people
`policy`             the numbers of those rules
`windows`            when supply may be cut; pure
`calendar`           desk: disconnect windows and holidays
`protection`         desk: keep-power orders (保电), which beat everything
`emergency`          desk: disconnects suspended
`moves`              each change of an order's state, with its line of history
`job`                carries one order out: rules, read, marked, sent once, settled
`choosing`           which meters are meant
`aftermath`          what an order's end means to others: readings, alarms
`sweeping`           orders that became due; orders whose time is over
`tokens`             20 digits by wire after a vend; the keypad is the fall-back
`ports`              where tokens and purchase MACs come from
`credentials`        the operator's file of meter passwords
===================  ===================================================================

Outcomes are those of `protocols.outcomes`.  An order that was being sent when its process died is
never sent again: its meter is read, and that settles it.
"""
