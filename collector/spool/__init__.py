"""The disk queue between sidecar and shipper: bounded, append-only, checksummed segments."""
