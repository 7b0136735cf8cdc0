"""What the test of the mutation testing mutates."""
