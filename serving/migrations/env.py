"""Run the revisions on the connection that opens the store, inside its transaction."""

from alembic import context

from serving.database import VERSION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
with context.begin_transaction():
    context.run_migrations()
