"""How `make setup` gets packages: where they come from, and the commands that install them."""
