"""Two processes train to the same bits."""

from tests.studies import determinism


def test_two_processes_leave_the_same_bits(tmp_path):
    steps = (1, 8)  # two epochs, the second with new groups
    one, again = (determinism.in_a_process(1, tmp_path / f"{i}.npz", steps) for i in range(2))
    assert one["1/bits"] != one["8/bits"]
    assert all(one[f"{step}/bits"] == again[f"{step}/bits"] for step in steps)
    row = determinism.differences(one, again, 8)
    assert (row["same bits"], row["parameters"], row["memory"]) == ("yes", "0.0e+00", "0.0e+00")
