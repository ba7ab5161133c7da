"""Everything that is compiled, and nothing else: tables of arrays, and functions over them.

Read in the order of the data: :mod:`codes` and :mod:`tables` say what the state is, :mod:`bits`,
:mod:`heap`, :mod:`index` and :mod:`queue` are the structures that keep an event cheap,
:mod:`nodes`, :mod:`domains` and :mod:`placement` hold and hand out resources, :mod:`engine` is the loop.
"""
