"""Evaluators: each turns features of images into named figures."""

# Evaluators by their name in eval.evaluators: made by f(settings), see ``base.Evaluator``.
EVALUATORS = {
    "knn": "pad_jax.evaluators.knn:Knn",
    "clustering": "pad_jax.evaluators.clustering:Clustering",
    "linear": "pad_jax.evaluators.linear:LinearProbe",
}
