"""Benchmarks with stated figures, each a ratio to a named peer measured in the same run."""
