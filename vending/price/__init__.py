"""Money to units, in an order that is data."""
