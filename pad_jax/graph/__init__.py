"""The affinity graph, what is found in it, and what it is like."""
