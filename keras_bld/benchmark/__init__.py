"""`python -m keras_bld benchmark`: what everything costs, beside a plain peer and the machine."""
