"""``python -m benchmarks.proof`` (``make proof``): read and command a street while things break.

A street of simulated meters, some of them dead, behind links that lose, spoil and delay answers.
Workers (`meterhouse serve`, processes of their own) read it hour by hour, carry out orders and
deliver tokens; they are killed (SIGKILL) and begun anew, and in the middle the database is taken
away from them.  In the end the database is held against what the meters themselves have seen.

===========  ==============================================================================
`asked`      what follows from the seed: links, the dead, faults, orders, deaths
`witness`    what each meter told and obeyed, noted at the meter
`street`     the street, a process of its own
`databases`  a PostgreSQL server that crashes and recovers; a SQLite file that is held shut
`house`      the head-end's registry, and the shop beside it
`worker`     a process that serves
`ordering`   orders, sales and reads, given until the head-end has taken them
`run`        all of it together, moment by moment
`count`      what must hold in the end
===========  ==============================================================================

An "hour" is shorter than an hour: of whole minutes it is the plan's own interval (``every_min``),
and the service makes its rounds; of less than a minute, which the calendar does not know, its
rounds are asked for by hand, as ``meterhouse plan run`` does.  Everything else runs at the speed of
the clock on the wall.

Which meters are dead, what goes wrong with which request of a meter, what is ordered and when
somebody is killed follow from the seed; who comes first on a busy machine does not.
"""
