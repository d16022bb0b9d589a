"""What the benchmarks of speed share: servers, sheets, the CPU of processes, tables."""
