"""One file of bills' texts per language."""
