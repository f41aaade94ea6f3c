"""Where the house keeps what matters: one database, SQLite or PostgreSQL, guarded by itself.

============  =========================================================================
`engine`      opening a database, write transactions and consistent reads
`types`       column types: UTC times, whole numbers
`schema`      the shared metadata on which each room declares its own tables
`migrate`     making the schema and bringing it up to date (Alembic, imported when used)
`ledger`      two-sided immutable transfers
`span`        a span of time as a condition
`audit`       who did what, when and why; append-only
`errors`      what can go wrong with a database
============  =========================================================================

This room imports none of the others.
"""
