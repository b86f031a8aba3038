"""Work that outlives a session: the scenario library and the automatic save of what is open."""
