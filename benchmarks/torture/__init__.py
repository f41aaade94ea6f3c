"""``python -m benchmarks.torture`` (``make torture``): sell under kill -9, then count.

Several processes sell the same requests at the same time and ask again for some; their clocks
jump back and ahead; they are killed (SIGKILL) at random moments and begun anew.  In the end what
is in the database is held against what was answered.

===========  ==============================================================================
`asked`      what is asked: it follows from the seed and the request's number alone
`shop`       the shop that is tortured: meters, a vendor with terminals and credit
`worker`     one process that sells and tells each answer
`witness`    what was told
`run`        begins, kills and begins anew, until everything is answered
`count`      what must hold in the end, streamed from the database
===========  ==============================================================================

A worker is killed after a number of answers, at whatever step of the next request it then is:
how many are killed does not depend on how busy the machine is.  The seed is printed first and with
each failure; what is asked follows from it, the moments of death and who comes first do not.
"""
