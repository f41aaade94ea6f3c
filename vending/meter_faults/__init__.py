"""What customers report of their meters: a display that is dark, a seal that is broken.

A report is taken down once for its message id, never changed, and closed once, by a person who
says in words what was done.
"""
