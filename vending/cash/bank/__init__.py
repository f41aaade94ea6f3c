"""Bank statements: read, stored once, matched, reviewed, vended."""
