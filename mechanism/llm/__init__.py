"""The language-model experiments of Section 5, at three scales: `tiny`, `small` and `paper`."""
