"""How events come to be: agents beside serving nodes."""
