"""From a registered device to its answers, over either protocol.

==================  ======================================================================
`device`            a meter and its line as the registry has them
`quantities`        which item of a meter holds which quantity (``quantities.toml``)
`lines`             this process's open lines, at most one connection to each
`reading`           registers: as few requests as there can be
`memory`            what meters remember: freezes, months, load profile
`happenings`        events since the last that are known
`clocks`            how far a meter's clock is ahead
`amounts`           answers as whole numbers
`faults`            what may go wrong here
==================  ======================================================================
"""
