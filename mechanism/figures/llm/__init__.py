"""Figures of the chapter on language models."""
