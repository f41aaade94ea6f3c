"""Bills: documents that are made once from the ledger and never change.

`kinds` of bills and groups of lines · `bill` a bill as a value · `tables` what is stored ·
`energy` settlements as lines · `lines` entries as lines · `making` bills · `run` those of a day ·
`due` what is open of a bill · `late_fees` what is charged for each day behind the due date ·
`fees` single fees · `withdrawing` a wrong bill · `paper` and `pdf` what people get to read ·
`sending` and `printing` how it comes to them · `texts` information beside the figures ·
`sweeping` what is due · `looking` what the other rooms ask.
"""
