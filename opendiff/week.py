"""What is generated of a tile: two series of the hours of one week. Which weekday it begins on is not known."""

DAYS, HOURS_PER_DAY = 7, 24
HOURS = DAYS * HOURS_PER_DAY
SERIES = 2  # traffic, users
