"""The files that a user takes away: the scenario in the formats of other tools, and the traffic table."""
