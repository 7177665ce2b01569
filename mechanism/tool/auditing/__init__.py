"""What groups could gain by lying about a table, alone or together."""
