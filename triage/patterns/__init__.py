"""One pattern per file: Measurements and its own limits in, one Finding out. ``all.py`` lists the patterns."""
