"""The command line by group; importing a module adds its commands to `console.app`."""
