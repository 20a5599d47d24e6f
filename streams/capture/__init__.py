"""Capture: completions from Kafka into exactly-once segment files, and segments into a BurstGPT trace."""
