"""Checks: pure functions over values and limits; each gives what is odd, and why, or nothing.

===============  ======================================================================
`flag`           what a check says
`clock`          a clock that has gone off
`use`            use out of line with the customer's usual
`register`       a register's step: forward, rolled over, exchanged, or wrong
`sums`           sub-meters against their parent, tariffs against the total
`power_factor`   reactive energy out of line
`silence`        no use although there is voltage
`tamper`         covers, magnets, reversed current
===============  ======================================================================

Sources: specs of the utility, rows 11, 16 and 27.  All energies are whole Wh.
"""
