"""The command line: parse, call, print. Commands are imported when they are called."""
