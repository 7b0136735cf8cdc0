"""Real processes, real faults, and a check from outside of what everybody saw."""
