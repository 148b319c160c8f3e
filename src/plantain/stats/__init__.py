"""What the numbers say: paired statistics, sign flips, bounds and reliability."""

from plantain.base.least import LEAST_FRAMES
from plantain.stats.both import BothTest, both
from plantain.stats.bounds import Calibration, item_calibration, true_discoveries
from plantain.stats.control import ControlTest, control_test
from plantain.stats.dispersion import DispersionTest, dispersion_test
from plantain.stats.effects import hedges_factor, standardised_interval
from plantain.stats.exchange import Exchange, plan_exchange
from plantain.stats.pivot import largest_pivot
from plantain.stats.signflip import ResolutionWarning, SignFlipTest, sign_flip_test
from plantain.stats.splithalf import SplitHalf, split_half
from plantain.stats.template import TemplateTest, concept_information, null_concept_information, template_test

__all__ = [
    "LEAST_FRAMES",
    "BothTest",
    "Calibration",
    "ControlTest",
    "DispersionTest",
    "Exchange",
    "ResolutionWarning",
    "SignFlipTest",
    "SplitHalf",
    "TemplateTest",
    "both",
    "concept_information",
    "control_test",
    "dispersion_test",
    "hedges_factor",
    "item_calibration",
    "largest_pivot",
    "null_concept_information",
    "plan_exchange",
    "sign_flip_test",
    "split_half",
    "standardised_interval",
    "template_test",
    "true_discoveries",
]
