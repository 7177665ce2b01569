"""The paper's experiments: synthetic games, published tables, language models."""
