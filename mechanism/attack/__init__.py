"""What every checker uses: games, types, best responses, type tables and graphs, replay."""
