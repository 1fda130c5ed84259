"""Timings beside other tools, in one run, as ratios. Never part of the tests: the machines are shared and noisy."""
