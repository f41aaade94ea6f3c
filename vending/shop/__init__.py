"""The shop: from a customer's money to a token that an auditor would sign.

Rules of the counter, with the invariants held by the database itself (see ``tables``).  A
sale is one write transaction: the client's message id first, then price, TID, token, ledger
and receipt, then the commit; asking again with the same id gives the same bytes.

==============  ===================================================================
`shop`          the class `Shop`: every operation of the counter
`requests`      what is asked and what is answered
`once`          one message id, one outcome: store first, replay, conflict
`meters`        meters and the keys in them
`price`         money to units, line by line; pure
`money`         currencies, amounts as people write them
`tids`          token identifiers that never repeat and never go back
`sale`          one credit vend, from price to receipt
`key_change`    moving a meter to another key
`security`      the security-module port, and the provider with public test keys
`books`         which accounts a sale touches
`issue`         writing down receipts and tokens
`receipt`       receipts as data
`copies`        receipts found again, numbered copies
`verify`        what a token means to a meter
`receipt_text`  receipts on 48 columns
`statement`     what was sold and what was taken, from the receipts and from the ledger
`settings`      the utility, its prices and limits
`tables`        the tables of this room
`values`        what is handed over, looked at before anything is done with it
`faults`        every refusal, one class and one code each
==============  ===================================================================
"""
