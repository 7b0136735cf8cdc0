"""The benchmark suite: ratios of two sides, measured interleaved in one run on one machine."""
