"""From a trace to a model of it."""
