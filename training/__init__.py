"""How the embedded models are trained and examined. Not part of the package: what ships are their weights."""
