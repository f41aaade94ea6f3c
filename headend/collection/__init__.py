"""Collection: which meters are read when, what came of it, and what is still missing.

====================  ====================================================================
`desk`                `Collection`: plans, lists, rounds, what is missing; begin here
`plan`                a reading schedule as a value, and as JSON
`calendar`            when a plan is due, on the utility's calendar (pure)
`window`              the part of the day in which a plan may read (pure)
`whom`                which meters a plan names
`reading_days`        customers' reading days (抄表例日), moved by two people
`sweep`               what is due: rounds, retries, ends of windows
`rounds`              one for each plan and due moment: making, going on, closing
`job`                 one link's share of a round, carried out
`visit`               one meter of it
`gaps`                what the load profile and the freezes still lack
`keeping`             what was read and how the meter stands, kept together
`retries`             when a meter is asked again, and how urgent that is (pure)
`permits`             budgets of networks: connections per second, open links
`contacts`            asked and answered, by the hour
`manual`              readings that a person brings
`tables`, `faults`    what is kept; what is refused
====================  ====================================================================
"""
