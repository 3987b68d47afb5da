"""The paper's comparisons rerun at any scale: Tables 4, 5 and 7, Figure 7, the schedules."""

from keras_bld.ablations.command import ablations_command
from keras_bld.ablations.experiments import EXPERIMENTS
from keras_bld.ablations.study import Study, run_study

__all__ = ["EXPERIMENTS", "Study", "ablations_command", "run_study"]
