"""Open data of any area: fetched from the providers or read from the user's own files, kept as a pack."""
