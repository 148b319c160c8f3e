"""One module a DVC stage: read paths, call a room, write outs and a receipt."""
