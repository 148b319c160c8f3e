"""What the numbers say: paired statistics, sign flips, bounds and reliability."""

from plantain.stats.bounds import Calibration, item_calibration, true_discoveries
from plantain.stats.effects import hedges_factor, standardised_interval
from plantain.stats.exchange import LEAST_FRAMES, Exchange, plan_exchange
from plantain.stats.signflip import ResolutionWarning, SignFlipTest, sign_flip_test
from plantain.stats.splithalf import SplitHalf, split_half
from plantain.stats.template import TemplateTest, concept_information, null_concept_information, template_test

__all__ = [
    "LEAST_FRAMES",
    "Calibration",
    "Exchange",
    "ResolutionWarning",
    "SignFlipTest",
    "SplitHalf",
    "TemplateTest",
    "concept_information",
    "hedges_factor",
    "item_calibration",
    "null_concept_information",
    "plan_exchange",
    "sign_flip_test",
    "split_half",
    "standardised_interval",
    "template_test",
    "true_discoveries",
]
