"""Services that answer requests: their demand over time, the replicas they ask for, and how well those keep up.

:mod:`demand` and :mod:`recorded` say how many requests come, :mod:`kinds` what a service is, :mod:`autoscaling` how
many replicas it asks for, :mod:`queueing` and :mod:`streaming` what becomes of the requests, given the replicas that
are there, and :mod:`book` is how all of it travels with a workload.
"""
