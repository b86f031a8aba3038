"""How well models and references generate tiles that they have not seen."""

from opendiff.evaluation.evaluation import (
    VARIANTS,
    Evaluation,
    evaluate,
    fit_folds,
    held_out_default,
    registered,
)

__all__ = ["VARIANTS", "Evaluation", "evaluate", "fit_folds", "held_out_default", "registered"]
