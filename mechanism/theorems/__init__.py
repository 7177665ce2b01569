"""One module a theorem chapter, with the same stem."""
