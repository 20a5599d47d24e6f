"""`burstwatch windows`: what the workers say, on a terminal or as JSON lines."""
