"""The latency laboratory: one protocol of measuring for every engine and its peers, reports, comparison, plots."""
