"""What readers say about decisions: stored, counted, exported."""
