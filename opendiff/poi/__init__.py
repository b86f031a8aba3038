"""Points of interest: their categories, the files they are read from, and their counts by tile."""
