"""Passes that other processes compute: on several devices, on a cluster."""
