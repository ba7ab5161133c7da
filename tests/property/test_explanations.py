"""Explanations of random runs: they cover every wait, and the record never contradicts a reason.

What was free after an instant is worked out here from the attempts alone.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from gpuyard import simulate
from gpuyard.errors import ConfigError
from gpuyard.explanation import Story, Stretch, gather, story_of
from gpuyard.explanation.evidence import Evidence
from gpuyard.policy import Policy
from gpuyard.workload import MICROSECOND
from oracle.comparing import EXAMPLES
from oracle.test_schedules import checked
from strategies import VARIANTS, crowded_sites, crowded_workloads, policies, preemptive_policies, ranked

OWN = ("gpus", "gpu_type", "fragmentation", "exclusive", "cpus", "memory")
PATTERNS = ("rail-aligned", "topology-block")
"""Placements that ask for more than nodes with room."""


def free_gpus(evidence: Evidence, now: int) -> float:
    """Return the GPUs that nobody holds after an instant, a fraction as such."""
    free = 1000 * evidence.cluster.gpus
    jobs = evidence.workload
    for attempt, job in enumerate(evidence.attempt_job.tolist()):
        if evidence.attempt_start[attempt] <= now < evidence.attempt_end[attempt]:
            shared = not (evidence.policy.exclusive or jobs.table["exclusive"][job].as_py())
            share = jobs.table["gpu_milli"][job].as_py() if shared else None
            first, end = evidence.slot_offset[attempt], evidence.slot_offset[attempt + 1]
            free -= (share or 1000) * int(evidence.slot_gpus[first:end].sum())
    return free / 1000


def check_cover(evidence: Evidence, story: Story) -> None:
    """The stretches follow one another from when the job was eligible to its start, or to the stop."""
    if story.eligible is None or story.state == "rejected":
        assert story.stretches == ()
        return
    edge = story.eligible
    for stretch in story.stretches:
        assert stretch.start == edge
        assert stretch.end > stretch.start
        edge = stretch.end
    stop = max(evidence.stop / MICROSECOND, story.eligible)
    assert edge == (stop if story.start is None else story.start)


def check_reason(evidence: Evidence, story: Story, stretch: Stretch) -> None:
    """What a stretch says of free GPUs and of other jobs is what the record says."""
    milli = story.asked.get("gpu_milli")
    needed = story.asked["gpus"] if milli is None else milli / 1000
    begin, end = round(stretch.start * MICROSECOND), round(stretch.end * MICROSECOND)
    instants = {begin, *(tick for tick in evidence.attempt_end.tolist() if begin <= tick < end)}
    for now in instants:
        free = free_gpus(evidence, now)
        assert free <= stretch.free[1]
        assert stretch.reason != "gpus" or free < needed
    if stretch.reason == "gpus":
        assert stretch.free[1] < needed
    elif stretch.reason in ("fragmentation", "exclusive", "cpus", "memory"):
        assert stretch.allowed[0] >= needed
        assert stretch.free[0] >= needed
    if stretch.reason == "fragmentation":
        assert stretch.largest is not None
        assert stretch.largest[1] < needed
    assert stretch.fits != (stretch.reason in OWN) or stretch.reason == "order"
    assert stretch.reason != "unknown"
    assert stretch.reason != "placement" or evidence.policy.placement in PATTERNS
    if stretch.blocker is not None:
        other = evidence.names.index(stretch.blocker.job_id)
        assert stretch.blocker.job_id != story.job_id
        assert evidence.eligible[other] <= begin
        assert evidence.start[other] >= end


@pytest.mark.parametrize("variant", VARIANTS)
@settings(
    deadline=None,
    max_examples=25,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
@given(data=st.data())
def test_every_wait_is_covered_and_no_reason_is_contradicted(variant: str, data: st.DataObject) -> None:
    site = data.draw(crowded_sites())
    plain = variant.startswith("conservative")  # else jobs that never fit their plan make passes by the microsecond
    jobs = data.draw(crowded_workloads(site, 1, plain=plain))
    policy = data.draw(policies(variant, **({"exclusive": False} if plain else {})))
    seed = data.draw(st.integers(0, 3))
    try:
        result = simulate(jobs, site, policy=policy, seed=seed, decisions=True)
    except ConfigError:
        assume(False)
    evidence = gather(result, workload=jobs, cluster=site, note=lambda _: None)
    for job in evidence.names:
        story = story_of(evidence, job)
        check_cover(evidence, story)
        for stretch in story.stretches:
            check_reason(evidence, story, stretch)
        assert str(story)


@pytest.mark.parametrize("rule", ["priority", "srtf", "srsf", "las", "2d-las", "time-slice"])
def test_who_was_preempted_was_less_urgent_by_the_numbers_of_the_story(rule: str) -> None:
    def check(data: st.DataObject) -> None:
        site = data.draw(crowded_sites(), label="cluster")
        jobs = data.draw(ranked(data.draw(crowded_workloads(site, 1)), 1), label="workload")
        policy = data.draw(preemptive_policies(rule), label="policy")
        result = simulate(jobs, site, policy=policy)
        evidence = gather(result, workload=jobs, cluster=site, note=lambda _: None)
        for name in evidence.names:
            for stay in story_of(evidence, name).attempts:
                assert (stay.made_room is not None) == (stay.reason == "preempted")
                if stay.made_room is not None:
                    assert level(policy, stay.made_room.own) > level(policy, stay.made_room.its)

    checked(f"stories {rule}", 4 * EXAMPLES, check)


def level(policy: Policy, measured: float | None) -> float:
    """Return the level of a job by what its rule measures: the lower, the more urgent."""
    terms = policy.preemption
    if terms.rule == "time-slice":
        return 0 if measured is None else int(measured >= terms.final_slice)
    assert measured is not None
    if terms.rule == "priority":
        return -measured
    if terms.rule in {"las", "2d-las"}:
        return sum(measured >= threshold for threshold in terms.final_thresholds)
    return measured
