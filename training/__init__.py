"""Labels, splits, fitting, evaluation and the registry."""
