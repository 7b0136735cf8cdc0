"""Mutation testing: would the tests notice a fault? `scripts/mutants` runs it.

`targets`: what is mutated, and the tests that must notice. `python` and `sql`: the mutations.
`swapping`: puts a Python mutant into a running process. `forked`: a pytest plugin that collects
once and runs the tests in a fork for each mutant. `judged.toml`: mutants that are no faults.
"""
