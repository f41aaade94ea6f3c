"""Personal fields: sealed where they are kept, masked where they are shown.

`seal` keeps texts under a key of the operator's.
"""
