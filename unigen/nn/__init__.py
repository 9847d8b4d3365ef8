"""Parts of networks that know no material: mixers, heads, kernels, encoders, processes, conditions."""
