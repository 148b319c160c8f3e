"""Workspaces that are no checkout: how one is made from a template, and how it follows an upgraded plantain."""
