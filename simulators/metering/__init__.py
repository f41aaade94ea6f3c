"""The metering model over the keypad meter: what a meter with a port knows besides.

=====================  ==================================================================
`smart_meter`          `SmartMeter`, the whole: begin here
`meter_type`           ratings and factory settings that like meters share
`flow`                 states in time; the past is computed, not stored
`meter_clock`          the meter's own clock, with drift and settings
`tariff_plan`          tariffs by time of day
`electricity`          voltages, currents, powers of a moment
`registers`            energies as the meter shows them
`demand`               greatest demands
`schedules`            when freezes and load records are due; `freezes`, `load_records`
`events`               what the meter noticed
`access`               passwords, levels, the lock against guessing
`parameters`           what was written; `parameter_items` reads, `programming` writes
`status`               status words
`relay`                relay control by wire
`prepayment`           local prepayment in money; `account`, `esam`
`token_port`           tokens by wire
`bcd`                  whole numbers and clock faces as the wire writes them
=====================  ==================================================================

Energies in Ws, powers in W, money in minor units (1/100), all whole numbers.
"""
