"""The schema of the record: its migrations, applying them, and checking a database."""
