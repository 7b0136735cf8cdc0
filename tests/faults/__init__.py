"""Fault tests: real processes, real faults, and external checks of what all watchers received."""
