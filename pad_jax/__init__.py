"""Progressive Affinity Diffusion (Huang et al., AAAI 2020) in JAX: unsupervised deep learning."""

from pad_jax.trained import Model, load

__all__ = ["Model", "load"]
