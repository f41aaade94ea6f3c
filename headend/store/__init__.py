"""What meters have said, kept: registers, interval values, events.

==============  ====================================================================
`readings`      the face: what others call to add and to look up
`tables`        the tables of this room
`quantities`    names of quantities as small numbers
`registers`     register readings: ordinary rows, never overwritten
`intervals`     interval values: a waiting room and packed days
`packed`        a day's values as an array (pure)
`events`        what meters say has happened to them
`differing`     values that contradict what is kept, for a person; corrections
`months`        monthly partitions (PostgreSQL)
`bulk`          many rows at once: binary COPY, executemany
`packing`       the nightly sweep from the waiting room into packed days
`energy`        sums per device and place
`archive`       older months in Parquet, and back
`retention`     what is archived when, and how long it is kept: data
==============  ====================================================================

Days of packed values are days of UTC, not of the utility's zone.  A day of UTC has always 24
hours, so that an array has always the same length and a value's place follows from its time
alone; days of a zone have 23 or 25 hours twice a year, and a government that changes the zone's
rules would cut everything that was packed anew.  Whoever asks for a day of the zone asks for its
first and last moment, and gets a part of two packed days.
"""
