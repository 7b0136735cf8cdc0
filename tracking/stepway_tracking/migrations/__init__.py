"""The schema of the record: its migrations, applying them, and comparing a database with them."""
