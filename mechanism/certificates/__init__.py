"""Certificates: steps that a solver proved, and instances evaluated in ball arithmetic."""
