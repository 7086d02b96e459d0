"""What a run needs of devices, from its compiled programs, whether devices are at hand or not."""
