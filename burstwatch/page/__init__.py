"""`burstwatch page`: rate, bursts, memory and failures on one time axis, live in a browser."""
