"""What a rented accelerator is to measure, in one command.

``python -m tests.benchmarks.accelerator`` begins what fits into its minutes, part by part, each in
a process of its own, so that one holds the device at a time. What is done is never done again: the
same command goes on.
"""
