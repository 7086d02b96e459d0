"""The code of docs/groups.md runs as it stands."""

import pathlib
import re

import numpy as np

PAGE = pathlib.Path(__file__).parents[1] / "docs" / "groups.md"


def test_the_page_s_code_runs(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names = {}
    exec(compile(code, str(PAGE), "exec"), names)
    assert re.fullmatch(r"2\d\d groups, 9 clusters\n", capsys.readouterr().out)
    assert names["similarity"].min() > 0.9
    np.testing.assert_array_equal(names["alike"].indices[:, 0], np.arange(5))
