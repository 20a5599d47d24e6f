"""One question about the event stream per file; pure state machines driven by event time."""
