"""Key changes of whole supply groups: a new revision, a new base date, a new group.

A campaign holds which meters it is for and what they are changed to; running it asks the shop
for each meter's key change under a message id of its own, so that it may be cut off anywhere
and run again, by several programs at once too.
"""
