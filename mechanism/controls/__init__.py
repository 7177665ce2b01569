"""Negative controls: every checker must notice each broken mechanism, rule, bound or hypothesis."""
