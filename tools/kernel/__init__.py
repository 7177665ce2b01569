"""Kernels that begin with their packages imported."""
