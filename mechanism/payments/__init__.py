"""Estimates of payments from samples, and what they cost."""
