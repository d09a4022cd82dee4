"""The front door: the command line, one thin command per job."""
