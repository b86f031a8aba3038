"""What the product is put through: damaged files, faults of providers and of the machine, many users at once."""
