"""A service of two replicas, of which the second has to wait."""

from __future__ import annotations

from dataclasses import replace

from conftest import cluster, workload
from gpuyard.record import Record
from gpuyard.services.book import Book, Service
from gpuyard.services.kinds import ServiceKind
from gpuyard.traces.schema import SERVICES
from gpuyard.workload import Workload
from records import record

ASKING = ServiceKind(
    name="chat", interval=300.0, peak=1.0, target=0.25, service_time=1.0, queue_time=0.0, cold_start=50.0, goal=0.9
)  # fmt: skip
"""Half a request a second, for which two replicas are wanted; nobody may wait."""


def services(kind: ServiceKind = ASKING) -> Workload:
    """Return two replicas that are wanted for 600 s, and another job."""
    mine = {"job_class": "realtime", "job_name": "chat-01"}
    rows = workload((0, 600, 1, mine), (0, 600, 1, mine), (0, 200, 1, {"job_name": "chat-01"}))
    service = Service(name="chat-01", kind="chat", mean=0.5, least=1, most=4, spare=0)
    book = Book(span=600.0, midnight=0.0, weekday=0, kinds={"chat": kind}, services=(service,), recordings={})
    return replace(rows, held=rows.held.replace_schema_metadata({SERVICES: book.dumps()}))


def ran(jobs: Workload) -> Record:
    """Return the run in which the second replica finds room at 200 s only, and ends as much later."""
    return record(jobs, cluster(2), (0, 0, 600, [(0, 1)]), (2, 0, 200, [(0, 1)]), (1, 200, 800, [(0, 1)]))
