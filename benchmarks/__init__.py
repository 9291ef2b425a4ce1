"""Benchmarks: what the project costs and reaches, beside the tutorial's algorithm and beside the floors."""
