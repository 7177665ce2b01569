"""Reward models of the small scale, their report, and the tasks that ask for rewards."""
