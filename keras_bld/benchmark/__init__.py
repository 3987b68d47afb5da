"""`keras-bld benchmark`: what everything costs, beside a plain peer and the machine."""
