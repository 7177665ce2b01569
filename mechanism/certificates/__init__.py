"""Certificates by ball arithmetic and by a solver, one module a chapter, with the same stem."""
