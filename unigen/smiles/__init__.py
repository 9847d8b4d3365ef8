"""The SMILES language: text, grammar, stereo, skeletons."""
