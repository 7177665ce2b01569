"""Negative controls: broken mechanisms, rules and hypotheses that the checkers must notice."""
