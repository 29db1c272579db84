"""Processes of `smearscan screen` that cannot work end it by name; one that dies is replaced."""

from __future__ import annotations

import pytest

from smearscan import local
from smearscan.errors import PermanentError


def test_a_process_that_refuses_the_run_ends_it_with_the_remedy() -> None:
    with pytest.raises(PermanentError, match=r"changed while it ran\. run it again"):
        local._give_up_if_hopeless(local._REFUSED, 1, 2)


def test_processes_that_die_one_after_another_with_nothing_done_end_it() -> None:
    with pytest.raises(PermanentError, match="11 worker processes died"):
        local._give_up_if_hopeless(1, 5 * 2 + 1, 2)


@pytest.mark.parametrize("n_deaths", [1, 5, 10])
def test_a_few_deaths_are_only_replaced(n_deaths: int) -> None:
    assert local._give_up_if_hopeless(-9, n_deaths, 2) is None
