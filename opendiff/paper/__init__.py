"""The published method (Chai, Jiang and Yu, KDD 2024), done as its paper describes it: the model `paper`.

Beside the `default` model it is what ours is measured against. It differs from the authors' published code where that
departs from their paper: see `opendiff.paper.denoiser` and `opendiff.paper.training`.
"""
