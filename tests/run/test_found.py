"""What is said of the groups that a run ends with."""

import csv
import re

from pad_jax.run import found as of_groups
from tests.support.report_run import clustered, discover, make_images


def test_the_groups_of_the_file_are_told(rng, tmp_path, caplog):
    rows, cluster = clustered(60, 8, rng)
    with caplog.at_level("INFO"):
        of_groups.write(tmp_path, make_images(cluster), discover(rows), rows)
    with (tmp_path / "groups.csv").open() as file:
        groups = [int(line["group"]) for line in csv.DictReader(file)]
    said = re.search(r"At the end (\d+) % of the images are in (\d+) groups.", caplog.text)
    count, inside = len(set(groups) - {-1}), sum(group >= 0 for group in groups)
    assert 0 < inside < 60
    assert (int(said[1]), int(said[2])) == (round(100 * inside / 60), count)
