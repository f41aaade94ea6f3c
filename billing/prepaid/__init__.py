"""Prepaid accounts: balance, warning, disconnect, payment, reconnect.

Rules: specs/utility.md 14, 16, 17, 22 and 26.

`standing`, `states` how accounts stand with their limits · `watcher` acts when balances move ·
`due` who is below the floor: spared, announced, switched off · `leniency` who is spared how long ·
`disconnecting` asks the head-end · `cuts`, `lights` a disconnect from the asking to the light ·
`following` what came of the orders · `handing_over` a service point that changes hands ·
`running_out`, `uses`, `outlook` how long a balance lasts · `emergency`, `giving`, `recovering`
credit in an emergency · `policy` the numbers · `sweep` what becomes due · `telling` what customers
are told.
"""
