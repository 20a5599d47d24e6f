"""The front door: the burstwatch command, everything-on-one-machine, the embedded broker."""
