"""The GPU backend of Tapestry: command line, server, worker, and MultiDiffusion itself."""

import os

# OpenMP's threads otherwise burn their cores while they wait for each other. An artist paints in
# Krita meanwhile: with one core taken by another program, a U-Net evaluation took 18 ms instead of
# 1,800 ms with this. It must be set before torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
