"""Estimators: arrays and frames in and out; no dates, no registry."""
