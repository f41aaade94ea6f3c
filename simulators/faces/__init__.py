"""A simulated meter as a wire sees it: one request in, one answer out, no I/O.

=====================  ==================================================================
`dlt645_2007`          `Face2007`
`dlt645_1997`          `Face1997`
`modbus`               `ModbusFace`, by any profile whose values the meter has
`items`                data items of DL/T 645, class by class
=====================  ==================================================================
"""
