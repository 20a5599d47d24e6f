"""The paper's analysis of a trace, as numbers. Pure; drawing and printing are in `workload.report`."""
