"""Tables 2 to 6."""
