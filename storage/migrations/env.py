"""Alembic's entry point: runs the migrations on the connection that `storage.migrate` gives.

They run inside that connection's transaction, so that a migration happens wholly or not at
all, on SQLite too.
"""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
