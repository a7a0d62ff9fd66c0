"""What the tests and the benchmarks share: signals, small models, hosts, and the virtual sound card."""
