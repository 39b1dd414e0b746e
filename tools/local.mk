# tools: the program tessera, one file per subcommand. (Hooked in with the model room.)
