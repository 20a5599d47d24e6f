"""Trace formats, one file each: how a row is read, how it is written, what the format cannot hold."""
