"""MultiDiffusion itself: windows, regions, fusion, noise, sampling; torch and nothing else."""
