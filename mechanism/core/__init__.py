"""The objects of the game: divergences, games, the training rule, payments, misreports."""
