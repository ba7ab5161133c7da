"""The oracle: docs/semantics.md once more, as slowly and plainly as it can be said.

Nothing is kept between two passes that could be worked out anew: free room is recomputed from what the
running jobs hold, the queue is a fresh ``sorted`` list, the next instant is a ``min`` over all jobs, a plan is
built again for every job that is planned.  What the page promises of its policies is asserted on the way.

Where the page leaves room, this is the reading taken here.

Jobs and placement

- A job without GPUs that asks for no CPUs, or for zero, is rejected: there is nothing it could hold.
- Thousandths of a core and MiB are rounded to whole numbers, half to even, before they are divided.
- A spread job ignores ``nodes`` (it has no shape) and may mix GPU types.
- A node without GPUs counts as an empty node: none of its GPUs is in use.
- packed, "all that is left" is the whole rest of the job at every depth, also inside a domain that can take
  only a part of it.
- A job that the empty cluster could not hold is rejected under recorded replay as well; a missing run time
  (without recorded start and end to replace it) rejects a job under every policy.
- A job that would have become eligible after the stop never is, and neither is a rejected job.

Instants

- The submission of a rejected job is no instant; that of a job that is not eligible yet is one, with its pass.

Estimates

- Jobs of the same instant and of higher rows belong to the history, if they had ended.  What is averaged is the
  column ``runtime``, not cut at limits; rejected jobs count.  "The same number of GPUs" is ``gpu_milli`` for a
  fraction.  Fewer than ``history`` such jobs: the mean of those there are.
- noise multiplies the column ``runtime`` and not the time until the kill; the limit cuts the product.
- ``runtime`` is the run time cut at the limit under ``kill``.

Order

- Keys use the estimate itself, scores the expected run time (at least a microsecond).
- The base-2 logarithm of no GPUs counts as 1, as for one.
- multifactor: on a cluster without GPUs the size counts nothing.  QOS and partitions are the columns' texts;
  those not recorded have the factor 0.

Fair share

- Sums of float64 are added from left to right, the shares of siblings too: accounts by name, then users by name, the
  nameless one first.
- The usage of an account is worked out from what all jobs below it held, not from the usage of its children.
- There are the accounts of jobs, and those above a path that shares are named for; then such a path that is neither an
  account nor a user of the workload is an account.  A nameless user has one share.
- Rejected jobs have accounts, and their submission may be the earliest.
- Who runs and holds nothing (there was no room at the beginning) is charged as well.
- A job waits if it is eligible and has not started.  Recalculations at which nobody waits are made all the same.

easy

- An expected end that is ``now`` has passed, as the job still runs: it counts as ``now + 1``.
- "Released" is any END, also of a job that held nothing on the reserved nodes.
- The reservation is made anew also after a job has started *ahead of* the head (one that came later, with a higher
  rank): it may have taken what was reserved, and what the page says of reservations that stay would not hold.
- Reserved nodes do not fit and are not empty, but the shape of a job (the G of its type, whether one node is
  large enough) is that of the whole cluster.
- counts: the shadow time is an expected end also where there are enough free GPUs now (and the head waits for its
  shape).  Short jobs do not shrink what is extra.

Queues of partitions

- A reservation stays while the heads that are found before its own and meet it have the very reservations that they had
  when it was made, whether the others were made anew in this pass or in one of its rounds that ended early.
- A round that ends with a preemption leaves all reservations; who started in it, and who was preempted, counts for the
  next.  Only a pass (a round) that has come to its last job takes them from queues without head.
- Under ``none`` among tenants a tenant's job of another queue is tried on what is not withheld from it, and may itself
  be refused then.

Fair sharing level by level, borrowing within a cohort

- The root is a cohort, also where nobody is below it: its own jobs are one more child of it.
- Where nobody states a nominal quota nobody borrows: ``borrow_within`` lets nobody take anything then.
- "By path": the queue of a cohort has the path of the cohort.
- Which of several types a job that waits is counted on does not ask whether a node of that type could hold it.
- Under ``fit`` jobs that ask for the same are passed over as under every other ``between`` and ``reclaim``.

Virtual clusters

- One whose own tenants say nothing (no tenant, limit or nominal quota) has those of the run.
- A partition that has no node there keeps its jobs out of all nodes, also those of no partition where it is the
  default; so they are rejected, also those that run when the simulation begins.
- What runs at the beginning is placed on any nodes of its virtual cluster, those outside its partition too.

conservative, slurm

- "The plan changes" where the number of free GPUs does: where one job ends and a reservation of as many GPUs
  begins, nothing changes.
- Jobs without GPUs have them always, also where overrunning jobs leave fewer than none in the plan.
- A reservation that has begun stays in the plan until its job is planned, also for jobs planned before it.
- ``depth`` counts from the queue as it was when the pass began (conservative), or as the first part of the pass
  has left it (slurm).
- conservative: a pass is due when the next reservation begins (see
  :data:`reference.planning.BEGIN_IS_AN_INSTANT`); otherwise jobs would wait for ever on an empty cluster.
- Planning an empty queue is planning: it counts for ``interval``, and a pass stays due when nobody waits any more.
- conservative: a job that comes among the first ``depth`` in a pass in which another starts had no reservation then,
  also if it was among them in the pass before.
- conservative: a job is early if it ends before its expected end as step 1 last left it.

Preemption

- The attempt that runs at the stop has as much useful time as if it had been preempted then.
- The least run of every preemptible job is an instant, also of one that was preempted ``max_preemptions`` times.
- Time slices: who becomes eligible in a further round joins the queue behind the victims of the round before.
- A time limit cuts the work; restarts and checkpoints do not count against it.
- gittins: the number of jobs divides out; the two whole numbers are converted to float64 and divided.

Scores, easy and windows beside preemption and tenants

- A job that waits is an instant's business (the end of a window, a recalculation of fair share) also if it waits
  again after a preemption.
- By counts, jobs of no GPUs are never more than extra.
- slurm: who was not admitted before the head of a round was found has had its turn in it.  The order of those who are
  planned is that of each moment (shares change with each start), and so are their prey, and whether they are admitted.
- slurm: whom a job has made room with is out of the plan, and if it starts again in the pass, it is in it as one that
  has had its turn.  Who runs and holds nothing is in the plan with the GPUs that it asked for.
- slurm: the length of a planned stay is that which is expected at the job's turn, also if it starts.
"""

from reference.entry import simulate
from reference.estimating import ESTIMATES, estimate
from reference.jobs import SECOND, WHOLE, Attempt, Fate, Job, Piece, brings, read, ticks
from reference.levels import RULES
from reference.placing import PLACEMENTS, Room, Rule, mix, place
from reference.queueing import ORDERS, Ranking
from reference.simulator import BACKFILLS

__all__ = [
    "BACKFILLS", "ESTIMATES", "ORDERS", "PLACEMENTS", "RULES", "SECOND", "WHOLE", "Attempt", "Fate", "Job", "Piece",
    "Ranking", "Room", "Rule", "brings", "estimate", "mix", "place", "read", "simulate", "ticks",
]  # fmt: skip
