"""A town's year, and an independent recount of its money: ``make town``.

=============  =========================================================================
`people`       who lives there: seeded; what they use, how they pay, what goes wrong
`recount`      what everybody owes in the end, from `people` alone, in plain fractions
`founding`     the office: accounts, meters, tariffs
`year`         the year, day by day, over the office's own desks; kills in settlements
`settler`      the process that settles, and is killed
`count`        the ledger against the recount
=============  =========================================================================
"""
