"""The mechanism on tables of samples and candidates, without torch."""
