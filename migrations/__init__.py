"""Migrations of the server's tables, which are applied after the library's."""
