"""The freeze plan: what each phase trains, at which rates, above which cut; and its faults."""
