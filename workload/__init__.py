"""Traces as files: generate, replay, and the simulated engine to replay against."""
