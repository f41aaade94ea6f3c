"""The head-end: meters on lines, read, commanded and watched.

=================  ======================================================================
`station`          what every desk shares: database, utility's zone, clock, who acts
`person`           who acts and what they may do
`values`           readings, interval values, events: what comes from a meter
`faults`           one class and one code each
`registry`         links, places, service points, devices and their history
`talk`             from a registered device to its answers, over either protocol
`work`             durable jobs behind a port; DBOS carries them
`collection`       plans, rounds, one job per link and round, retries, gaps
`orders`           commands to meters: done, failed, unknown
`store`            readings, profiles and events kept, packed, archived
`watching`         alarms, health, checks, losses, outages
`service`          `meterhouse serve`: workers, modems that call in, metrics
=================  ======================================================================

It meets the vending house in the database, by the meter's number, and in workflows that
`commands/` wires; neither imports the other.
"""
