"""Policies: loading, the tiny model that can be enumerated, sampling, soups."""
