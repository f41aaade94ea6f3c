"""Backups of a whole database in one file, and bringing them back.

A backup is a ZIP file with two members: the data (a SQLite database, or a dump that PostgreSQL's
own ``pg_dump`` made) and ``manifest.json``, which says what must be found again: how many rows each
table has, the sums of its amounts and energies, and the head of the audit trail, all of one moment.

`archive` the file · `checking` what is counted · `shape` what holds the rules · `sqlite_copy`
`postgresql_dump` the data of either database · `making` · `restoring` · `faults`.
"""
