"""Code that the test of mutation testing mutates."""
