"""The service: workers, sweeps, modems that call in, figures; `meterhouse serve` runs it.

=================  ======================================================================
`service`          puts it together: start, run, stop
`sweeps`           what is due: one worker at a time, each in its time
`modems`           modems that call in: whose they are, and that jobs find them
`callers`          callers that nobody knows
`figures`          what Prometheus is given
`pages`            /health, /ready, /metrics on a small port
=================  ======================================================================
"""
