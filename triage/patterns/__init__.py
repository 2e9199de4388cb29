"""One pattern per file. Each sees only Measurements and its own limits, and answers one Finding; ``all.py`` lists them."""
