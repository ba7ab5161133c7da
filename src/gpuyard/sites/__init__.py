"""What clusters are made from: blocks of equal nodes, lists of nodes, topology files, presets, ``144x8``."""
