"""The paper's comparisons rerun at any scale: Tables 4, 5 and 7, Figure 7, the schedules."""

from typing import TYPE_CHECKING

from keras_bld.base.lazy_names import lazy_names

if TYPE_CHECKING:
    from keras_bld.ablations.command import ablations_command
    from keras_bld.ablations.experiments import EXPERIMENTS
    from keras_bld.ablations.settings import Study
    from keras_bld.ablations.study import run_study

__all__ = ["EXPERIMENTS", "Study", "ablations_command", "run_study"]

__getattr__, __dir__ = lazy_names(__name__)
