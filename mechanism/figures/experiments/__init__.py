"""Figures of the chapters on the paper's experiments, one module a chapter."""
