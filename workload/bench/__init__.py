"""The benchmark: a family of workloads against a server, and what burstiness did to it."""
