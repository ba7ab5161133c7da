"""Networks: fabrics by their parameters, graphs of hosts and switches, importers, and the levels they compile to."""
