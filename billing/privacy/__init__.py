"""Personal fields: sealed where they are kept, masked where they are shown.

`seal` keeps texts under a key of the operator's · `key_file` where that key comes from · `fields`
which columns are sealed · `resealing` under another key · `masks` for lists and logs · `retention`
erases what nobody has a use for any more.
"""
