"""Stories of jobs, for the tests of explanations."""

from __future__ import annotations

import gpuyard as gy
from conftest import Row, workload
from gpuyard.explanation import Story


def story(job: str, *rows: Row, site: gy.Cluster, **options: object) -> Story:
    """Return the story of a job of a workload of these rows."""
    jobs = workload(*rows)
    result = gy.simulate(jobs, site, decisions=True, **options)
    return gy.explain(result, job, workload=jobs, cluster=site)


def told(job: str, *rows: Row, site: gy.Cluster, **options: object) -> list[str]:
    """Return the lines of that story."""
    return str(story(job, *rows, site=site, **options)).splitlines()
