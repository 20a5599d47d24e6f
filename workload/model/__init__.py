"""What a workload model is, and its file."""
