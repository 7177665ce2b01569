"""Negative controls of the checkers, one module a chapter, with the same stem."""
