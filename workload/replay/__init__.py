"""A trace sent to a real server, each request at its own time."""
