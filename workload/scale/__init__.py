"""Traces made faster, slower, longer, thinner; and what that did to their burstiness."""
