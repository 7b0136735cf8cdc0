"""The server's tables, by Alembic: its migrations, and applying them after the library's."""
