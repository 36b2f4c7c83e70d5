"""What a phase freezes, as a fixed function: its identity, its cached outputs, its solver."""
