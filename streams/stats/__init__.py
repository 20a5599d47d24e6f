"""Numbers only: numpy and maths, no events, no clock, no I/O."""
