"""What the events mean, live."""
