"""Alembic's entry: migrations run on the connection that `open_database` hands over, in its transaction."""

from __future__ import annotations

from alembic import context

from smearscan.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=True)
context.run_migrations()
