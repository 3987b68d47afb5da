"""The commands of `python -m keras_bld`, one file for each."""
