"""The processes of the node and the command `icansee`."""

import os

# The parallel unit is the study (worker_processes), not the matrix: small systems solved on every core at once only
# make the cores wait for each other (simulated fits took up to 15 times as long beside other work). Read by numpy's
# library when it is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
