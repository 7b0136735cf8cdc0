"""The benchmark suite: ratios of two sides that are measured in turn, in one run on one machine."""
