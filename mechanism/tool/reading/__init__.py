"""From files to rows in the engine to tables in memory."""
