"""Traces made: from a model, or from a trace by scaling it; and proof of what was made."""
