# tools: the program tessera, one file per subcommand.
