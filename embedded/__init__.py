"""Postgres, Valkey and Temporal as child processes: the default on one machine."""
