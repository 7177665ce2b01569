"""Runs: stages in order, records, plans and costs."""
