"""The reliability campaign: what plantain loses when it is killed, cut short, fed rubbish and started eight times."""
