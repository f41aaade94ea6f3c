"""Collection: which meters are read when, what came of it, and what is still missing.

====================  ====================================================================
`plan`                a reading schedule as a value, and as JSON
`calendar`            when a plan is due, on the utility's calendar (pure)
`window`              the part of the day in which a plan may read (pure)
`plans`               plans kept; who they read
`reading_days`        customers' reading days (抄表例日), moved by two people
`rounds`              one for each plan and due moment: making, going on, closing
`standing`            what stands in a round for a link and for a meter
`job`                 one link's share of a round, carried out
`visit`               one meter of it
`retries`             when a meter is asked again, and how urgent that is
`gaps`                what the load profile and the freezes still lack
`permits`             budgets of networks: connections per second, open links
`contacts`            asked and answered, by the hour
`manual`              readings that a person brings
`sweep`               what is due: rounds, retries, ends of windows
`tables`, `faults`    what is kept; what is refused
====================  ====================================================================
"""
