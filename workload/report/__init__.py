"""What was found, for people: text, a self-contained HTML page, plots."""
