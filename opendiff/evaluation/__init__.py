"""How well models and references generate tiles that they have not seen."""

from opendiff.evaluation.evaluation import Evaluation, evaluate, registered
from opendiff.evaluation.variants import VARIANTS, fit_folds, held_out_default

__all__ = ["VARIANTS", "Evaluation", "evaluate", "fit_folds", "held_out_default", "registered"]
