"""From a traffic table to network plans: deployment, sleep schedules, PRB allocation, scenarios and exports.

Knows nothing of how the traffic was made: any table of the format in `planning.traffic` will do.
"""
