"""GitHub's surface of the host for tests."""
