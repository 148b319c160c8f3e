"""The command line, one file a group of commands: parse arguments, call a room, print."""
