"""The networks of the coverage benchmark, by group: how each is built and what goes in."""

from coverage_models.case import Case
from coverage_models.classics import classic_cases
from coverage_models.language import transformers_cases
from coverage_models.timm_families import timm_cases
from coverage_models.vision import torchvision_cases

__all__ = ["Case", "all_cases"]


def all_cases(*, every_timm_model: bool = False) -> list[Case]:
    """All cases, in the order of the table.

    Args:
        every_timm_model: all of timm's names instead of the smallest model of each family.
    """
    return [
        *timm_cases(every_model=every_timm_model),
        *torchvision_cases(),
        *transformers_cases(),
        *classic_cases(),
    ]
