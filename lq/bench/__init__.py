"""Benchmarks, each beside its peer in the same run, inside network namespaces of their own."""
