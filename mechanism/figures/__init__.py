"""Figures of single chapters, one module a chapter, with the same stem."""
