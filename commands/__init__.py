"""The groups behind the ``meterhouse`` command.  They parse, call and print."""
