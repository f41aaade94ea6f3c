"""The security module: where vending keys live and tokens are made."""
