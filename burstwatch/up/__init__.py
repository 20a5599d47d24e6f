"""`burstwatch up`: everything on one machine, started in order, watched, and drained in order."""
