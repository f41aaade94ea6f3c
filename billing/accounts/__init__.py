"""Customers, accounts, agreements, supplies, contacts (specs/utility.md 1-4).

`desk` what people do with accounts · `opening` `changes` `applying` `supplying` `closing` how ·
`looking` what the other rooms ask · `showing` what a person sees, masked · `importing` many at
once · `watcher` `sweep` what falls due · `numbers` `checks` `values` `rules` `tables`.
"""
