"""Studies that train or merge, and record themselves under ``results/llm``."""
