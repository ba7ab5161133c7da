"""gpuyard: a GPU cluster scheduler simulator."""
