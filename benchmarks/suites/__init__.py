"""The suites.

A suite is a module here with a docstring, whose first line is its title, and a function
``lines(scale: Scale) -> Iterator[Line]``.  It yields each line as soon as it is measured.
"""
