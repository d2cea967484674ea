"""Statistics of evaluations: pure functions over one score per item and the source (cluster) of each."""

from limpide.evals.statistics.budget import BudgetCurve, BudgetPoint, budget_curve
from limpide.evals.statistics.holm import holm
from limpide.evals.statistics.mcnemar import mcnemar_p
from limpide.evals.statistics.mean import MeanEstimate, mean_interval
from limpide.evals.statistics.noninferiority import NonInferiority, Verdict, non_inferiority
from limpide.evals.statistics.paired import PairedDifference, paired_difference
from limpide.evals.statistics.permutation import PairedTest, paired_test, sign_flip_test
from limpide.evals.statistics.power import items_needed
from limpide.evals.statistics.repeats import averaged
from limpide.evals.statistics.sequential import SequentialPlan, plan_looks, sequential_verdict
from limpide.evals.statistics.thinking import ThinkingGain, thinking_gain

__all__ = [
    "BudgetCurve",
    "BudgetPoint",
    "MeanEstimate",
    "NonInferiority",
    "PairedDifference",
    "PairedTest",
    "SequentialPlan",
    "ThinkingGain",
    "Verdict",
    "averaged",
    "budget_curve",
    "holm",
    "items_needed",
    "mcnemar_p",
    "mean_interval",
    "non_inferiority",
    "paired_difference",
    "paired_test",
    "plan_looks",
    "sequential_verdict",
    "sign_flip_test",
    "thinking_gain",
]
