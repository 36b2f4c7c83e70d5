"""What a phase freezes, as a fixed function: its identity and its cached outputs."""
