"""From a traffic table to network plans. Knows nothing of how the traffic was made.

traffic, demand     a table of anybody's, and Mbit/s by a stated scale
equipment, radio    figures of cells and links, each with its source; energy computes with them
coverage            levels on pixels, who serves what, capacities, loads
network             sites and cells, and the files they come from
deployment          where sites go
sleep               which cells sleep when
prb                 which users get which PRBs
solver              mixed-integer programs, behind one adapter
scenario, export    everything in one file, and out to other tools
commands, cli       `opendiff-planning`
"""
