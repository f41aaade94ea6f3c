"""Speed and memory, measured: ``python -m benchmarks`` (``make bench``).

=============  ============================================================================
`suites/`      one module for each suite; a new file there is a new suite
`measure`      how a rate and a peak of memory are taken
`line`         what a measurement says: figure, target, ratio, what limits it
`naive`        the token engine bit by bit, as the yardstick
=============  ============================================================================

A machine's figures say little by themselves, so each is set beside a yardstick of the same
run: the naive implementation, or the bare operation that limits it.
"""
