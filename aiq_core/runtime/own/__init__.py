"""A user's own network and images: read, counted, tried on, and kept in a catalogue."""
