"""Parts of networks that know no material: mixers, heads, encoders, processes, conditions."""
