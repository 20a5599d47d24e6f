"""A trace in memory, as columns: what everything that reads whole traces works on."""
