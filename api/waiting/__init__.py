"""Notices steps that no worker takes, and writes that into their rows."""
