"""Alembic's entry: runs on the connection, and in the transaction, that `storage.migrate` gives."""

from alembic import context

from zimun.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=False,
)
context.run_migrations()
