"""The money side of supply: accounts, payments, tariffs, settlement, bills, collections.

=================  ======================================================================
`office`           what every desk shares: database, zone, currency, clock, who acts
`person`           who acts and what they may do
`faults`           one class and one code each
`ledger`           entries of customers' accounts: two-sided, append-only, in order
`privacy`          personal fields: sealed at rest, masked in lists
`accounts`         customers, accounts, agreements, supplies, contacts; open, change, close
`payments`         one door for every channel; reconciliation, refunds
`tariffs`          versions of tariffs, and what a consumption costs by them; pure
`settlement`       readings become amounts, once; holds, review, corrections
`prepaid`          balance, warning, disconnect, payment, reconnect
`bills`            what is asked for, until when; PDF, delivery
`notices`          messages to people: queued, sent, delivered, failed, called back
`collecting`       ageing, classes, steps, instalments, credit score, forecast
=================  ======================================================================

Two ways to pay meet in one account: money that lies there before it is used, and bills for what
was used.  What a token bought is the vending house's (`vending`); readings and orders are the
head-end's (`headend`), and this room may use both.
"""
