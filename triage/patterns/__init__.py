"""One detector per file. Each sees only Measurements (and its own limits) and answers one Finding."""
