"""Alembic's migrations.  Run by `storage.migrate`; nothing else imports them."""
