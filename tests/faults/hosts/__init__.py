"""Git hosts in the fault run: their projects, their faults, and the checks of what is on them."""
