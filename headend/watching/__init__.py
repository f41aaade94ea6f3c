"""Watching: what goes wrong, who should know, and what was lost on the way.

==============  =======================================================================
`tables`        alarms, findings, limits, days, losses, outages
`limits`        thresholds as data: a file of defaults, overridden by the utility
`alarms`        one open alarm for each kind and subject; acknowledge, close, history
`escalation`    who is told next when nobody acknowledges
`contacts`      who was asked and who answered, hour by hour: the one look at collection
`health`        read success by meter, link and area
`checks`        pure functions: what is odd about values, and why
`findings`      what the checks found, until a person has decided
`checking`      feeds the checks, batch by batch
`days`          what each service point used on each day
`losses`        supplied against sold, by area and feeder and day
`suspects`      who explains an area's loss best, and why
`outages`       many silent meters at one place
`sweep`         all of it, again and again
==============  =======================================================================
"""
