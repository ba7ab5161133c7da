"""What-ifs on random workloads: what they undo, what they keep, and that no job or dependency is ever lost unsaid."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from conftest import workload
from gpuyard.reshaping import merge, repeat, resample_users, resize, shift, thin
from gpuyard.workload import Workload

ROW = st.tuples(
    st.integers(0, 10_000).map(float),
    st.integers(0, 500).map(float),
    st.sampled_from([0, 1, 2, 3, 8, 16]),
    st.fixed_dictionaries(
        {"user": st.sampled_from(["a", "b", "c"]), "array": st.sampled_from([None, "x", "y"])},
    ),
)


@st.composite
def jobs(draw: st.DrawFn) -> Workload:
    """Up to a dozen jobs, some of which depend on an earlier row."""
    rows = draw(st.lists(ROW, min_size=1, max_size=12))
    for number, row in enumerate(rows):
        if number and draw(st.booleans()):
            row[3]["depends_on"] = [str(draw(st.integers(0, number - 1)))]
    return workload(*rows)


@given(jobs(), st.integers(-10_000, 10_000))
def test_a_shift_and_its_opposite_leave_nothing_changed(before: Workload, seconds: int) -> None:
    assert shift(shift(before, seconds), -seconds).table.equals(before.table)


@given(jobs(), st.integers(2, 4))
def test_the_first_period_of_a_repeat_is_the_workload(before: Workload, times: int) -> None:
    many = repeat(before, times, every=20_000.0)
    assert len(many) == times * len(before)
    assert many.window(0, 20_000).table.equals(before.table)


@given(jobs(), st.sampled_from([2, 3, 5]))
def test_with_its_work_kept_a_workload_of_larger_jobs_has_the_same_gpu_time(before: Workload, factor: int) -> None:
    after = resize(before, factor, keep="work")
    work = [float(each.floats("runtime") @ each.floats("gpus")) for each in (before, after)]
    assert abs(work[0] - work[1]) <= 1e-4 * (1 + work[0])


@given(jobs(), jobs())
def test_a_merge_holds_each_job_of_both_once(first: Workload, second: Workload) -> None:
    both = merge(first, second)
    assert len(both) == len(first) + len(second)
    mine = [name for name in both.table["job_id"].to_pylist() if "~" not in name]
    assert sorted(mine) == sorted(first.table["job_id"].to_pylist())


@given(jobs(), st.integers(0, 50), st.sampled_from([0.2, 0.5, 0.9]))
def test_what_is_left_of_users_and_jobs_is_a_workload_again(before: Workload, seed: int, share: float) -> None:
    """Each step checks ids, arrays and dependencies; none may be refused."""
    for step in (thin(before, share, seed=seed), resample_users(before, seed=seed)):
        Workload.from_table(repeat(resample_users(step, seed=seed), 2).table if len(step) else step.table)
