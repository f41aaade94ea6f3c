"""One file of texts per language."""
