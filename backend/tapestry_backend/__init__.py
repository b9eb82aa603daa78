"""The GPU backend of Tapestry: command line, server, worker, and MultiDiffusion itself."""
