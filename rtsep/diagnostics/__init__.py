"""What this machine can do: the doctor, and the benchmarks that any user can run."""
