"""Batch scoring, the service and the store."""
