"""Live logs of steps: captured in the worker, kept in Postgres, followed by readers."""
