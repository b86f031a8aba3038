"""The paper's baselines and ablations: compact re-implementations behind one interface, and the tables made with them.

`models` lists what is compared and `benchmark` runs it. Each module of a model cites its paper and says what was left
out. All are given the same conditions, the same scale of the traffic, the same splits, the same number of updates and
the same rule of early stopping (`harness`).
"""
